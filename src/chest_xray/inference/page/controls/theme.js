/** Dark unless the reader chose light. The choice is remembered. */

const SETTING = "cxr-theme";

export function applyTheme() {
  document.documentElement.dataset.theme = localStorage.getItem(SETTING) ?? "dark";
}

export function switchTheme() {
  localStorage.setItem(SETTING, document.documentElement.dataset.theme === "light" ? "dark" : "light");
  applyTheme();
}
