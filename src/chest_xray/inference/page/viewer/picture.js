/** A picture of a scene to take away. */

import { CanvasRenderer } from "./canvas.js";
import { fitted, turnedSize } from "./geometry.js";

/**
 * The whole film of a scene, turned as it is there. Made at once: a page that is about to be printed waits for nothing.
 * @param {Omit<import("./scene.js").Scene, "ratio" | "draft">} scene
 * @param {number} width in pixels
 * @returns {HTMLCanvasElement}
 */
export function pictureOf(scene, width) {
  const { film, pose } = scene;
  const renderer = new CanvasRenderer();
  const { canvas } = renderer;
  const size = turnedSize(film, pose.rotation);
  canvas.width = width;
  canvas.height = Math.max(1, Math.round((width * size.height) / size.width));
  renderer.draw({ ...scene, pose: fitted(film, canvas, pose.rotation), ratio: 1, draft: false });
  return canvas;
}
