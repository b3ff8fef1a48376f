/** Files from the reader: dropped, chosen, or a folder of either. */

/**
 * Every file of a drop, folders included, in the order of their names.
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>}
 */
export async function droppedFiles(transfer) {
  // Entries must be asked for before the first wait: the browser empties the list when the event is over.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return sorted([...transfer.files]);
  const lists = await Promise.all(entries.map(filesBelow));
  return sorted(lists.flat());
}

/**
 * Files as people number them: film 2 before film 10. What systems hide is left out.
 * @param {File[]} files
 */
export function sorted(files) {
  const order = new Intl.Collator(undefined, { numeric: true });
  return files
    .filter((file) => !file.name.startsWith("."))
    .sort((a, b) => order.compare(a.webkitRelativePath || a.name, b.webkitRelativePath || b.name));
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<File[]>}
 */
async function filesBelow(entry) {
  if (entry.isFile) {
    const file = /** @type {FileSystemFileEntry} */ (entry);
    return [await new Promise((resolve, reject) => file.file(resolve, reject))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const lists = [];
  // A folder comes in pieces, the last of which is empty.
  for (let piece = await piecesOf(reader); piece.length > 0; piece = await piecesOf(reader)) {
    lists.push(...(await Promise.all(piece.map(filesBelow))));
  }
  return lists.flat();
}

/**
 * @param {FileSystemDirectoryReader} reader
 * @returns {Promise<FileSystemEntry[]>}
 */
function piecesOf(reader) {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}
