// The page without this can be read; with it, it is narrowed by filters, and each cell of the matrix opens its evidence.
//
// What is shown is told by the address (the part after #), which a reader may keep or send; all that is done here
// changes the address or follows it. Strangers' texts come into the page by `textContent` alone.
"use strict";

/** @typedef {{name: string, label: string, version: string, python: string, resolution: string}} Cell */
/** @typedef {{cells: number[], tests: number[], outcome: number, verdict: string}} Article ranges of cells and tests */
/**
 * The matrix. Tests and cells are numbered as they stand in it: `rows` and `columns` say how many each has. `causes`:
 * ranges of the cells in each column of the table of causes, whose rows are the first of the articles.
 * @typedef {{
 *   run: string, cells: Cell[], columns: number[], tests: string[], rows: number[],
 *   outcomes: {name: string, shown: string, kind: string}[],
 *   grid: number[][], articles: Article[], causes: number[][], words: Record<string, string>,
 * }} Index
 */
/**
 * What is known of a test in a cell; numbers of texts, but for the reason's article, `exit` and `limit`.
 * @typedef {{
 *   reason?: number, said?: number, besides?: number, output?: number, errors?: number, traceback?: number,
 *   warnings?: number[], remarks?: number[], cut?: number, exit?: number, limit?: string,
 * }} Fact
 */
/**
 * What is known of a cell; `entries`: pairs of a test and a fact, `compared`: pairs of a row and a cell.
 * @typedef {{
 *   outcome: string, lock?: number[], interpreter?: string, command?: string, replayed?: string, folder?: string,
 *   phases?: Record<string, number>, import?: number, memory?: number, summary?: number, hint?: number,
 *   detail?: number, remarks?: number[], entries: number[], left: number, compared: number[],
 * }} CellFact
 */
/**
 * `texts`: how many lines were left out before it, then numbers of lines, those of the user's own as complements.
 * @typedef {{
 *   lines: string[], texts: number[][], facts: Fact[], pins: [string, string][], cells: CellFact[],
 * }} Evidence
 */
/** @typedef {{wall?: string, cpu?: string, memory?: string}[]} Measures */
/** @typedef {{outcomes: Set<string>, python: string, resolution: string, test: string, text: string}} Filters */
/** @typedef {{cells: Set<number>, tests: Set<number>, said: Map<number, number[]>}} Hits `said`: tests by cell */

const page = document.documentElement;
if (page.dataset.lang === "auto") page.dataset.lang = navigator.language.startsWith("zh") ? "zh" : "en";
page.lang = page.dataset.lang ?? "en";

/**
 * @template T
 * @param {() => T} make
 * @returns {() => T} which makes it once, when it is first wanted
 */
function once(make) {
  /** @type {T | undefined} */
  let made;
  return () => (made ??= make());
}

/** @param {string} name @returns {any} */
function block(name) {
  return JSON.parse(document.getElementById(name)?.textContent ?? "null");
}

const index = once(() => /** @type {Index} */ (block("index")));
const evidence = once(() => /** @type {Evidence} */ (block("evidence")));
const measures = once(() => /** @type {Measures} */ (block("measures")));
const firstTests = once(() => starts(index().rows));
const firstCells = once(() => starts(index().columns));
const rowOfTest = once(() => index().rows.flatMap((count, row) => new Array(count).fill(row)));
const columnOfCell = once(() => index().columns.flatMap((count, column) => new Array(count).fill(column)));
const lowerTests = once(() => index().tests.map((name) => name.toLowerCase()));
const lowerLines = once(() => evidence().lines.map((line) => line.toLowerCase()));

/** @param {number[]} counts @returns {number[]} where each begins */
function starts(counts) {
  let sum = 0;
  return counts.map((count) => (sum += count) - count);
}

/** @param {number} first @param {number} count @returns {number[]} */
function stretch(first, count) {
  return Array.from({ length: count }, (_, place) => first + place);
}

/** @param {string} words @param {...(string | number)} values for each {} @returns {string} in the reader's language */
function say(words, ...values) {
  const told = page.lang === "zh" ? (index().words[words] ?? words) : words;
  return told.replace(/\{\}/g, () => String(values.shift()));
}

/** @param {string} tag @param {string} kind @param {...(Node | string)} children @returns {HTMLElement} */
function make(tag, kind, ...children) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.append(...children);
  return made;
}
