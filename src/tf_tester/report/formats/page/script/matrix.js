// The matrix: a table whose cells are buttons. One of them is reached by Tab, the others from there by the arrow keys.

const MOST_NAMES = 200;

class Matrix {
  /** @param {HTMLTableElement} table @param {HTMLElement | null} more where the rows that aren't in the page are told */
  constructor(table, more) {
    this.table = table;
    this.heads = [...(table.tHead?.rows[0]?.cells ?? [])].slice(1);
    this.rows = new Map([...(table.tBodies[0]?.rows ?? [])].map((row, number) => [number, row]));
    this.numbers = new Map([...this.rows].map(([number, row]) => [row, number]));
    this.rowsShown = [...this.rows.keys()];
    this.columnsShown = this.heads.map((_, column) => column);
    this.mostRows = this.rows.size;
    /** @type {Map<number, number[]>} the tests that are shown of a row */
    this.tests = new Map();
    /** @type {Map<number, number[]>} the cells that are shown of a column */
    this.cells = new Map();
    /** @type {HTMLButtonElement | null} the one that Tab comes to */
    this.current = null;
    for (const [number, row] of this.rows) {
      for (const cell of [...row.cells].slice(1)) cell.append(matrixButton(...cell.childNodes));
      row.querySelector("details")?.addEventListener("toggle", () => this.nameTests(number));
    }
    this.more = matrixButton();
    this.more.tabIndex = 0;
    this.more.hidden = !more;
    if (more) this.more.textContent = say("More rows");
    more?.replaceChildren(this.more);
    this.reach(this.button(0, 0));
    table.addEventListener("keydown", (event) => this.move(event));
    table.addEventListener("focusin", (event) => {
      if (this.placeOf(event.target)) this.reach(/** @type {HTMLButtonElement} */ (event.target));
    });
  }

  /** @param {number | undefined} row @param {number | undefined} column @returns {HTMLButtonElement | null} */
  button(row, column) {
    return this.rows.get(row ?? -1)?.cells[(column ?? -1) + 1]?.querySelector("button") ?? null;
  }

  /** @param {EventTarget | null} target @returns {{row: number, column: number} | null} */
  placeOf(target) {
    const cell = target instanceof Element ? target.closest("button")?.closest("td") : null;
    const row = cell ? this.numbers.get(/** @type {HTMLTableRowElement} */ (cell.parentElement)) : undefined;
    return cell && row !== undefined ? { row, column: cell.cellIndex - 1 } : null;
  }

  /** @param {HTMLButtonElement | null} button */
  reach(button) {
    if (this.current) this.current.tabIndex = -1;
    this.current = button;
    if (button) button.tabIndex = 0;
  }

  /** @param {KeyboardEvent} event */
  move(event) {
    const place = this.placeOf(event.target);
    if (!place || event.ctrlKey || event.altKey || event.metaKey) return;
    let [down, across] = [this.rowsShown.indexOf(place.row), this.columnsShown.indexOf(place.column)];
    if (event.key === "ArrowRight") across += 1;
    else if (event.key === "ArrowLeft") across -= 1;
    else if (event.key === "ArrowDown") down += 1;
    else if (event.key === "ArrowUp") down -= 1;
    else if (event.key === "Home") across = 0;
    else if (event.key === "End") across = this.columnsShown.length - 1;
    else return;
    event.preventDefault();
    this.button(this.rowsShown[down], this.columnsShown[across])?.focus();
  }

  /** @param {Map<number, number[]>} tests by row that is meant @param {Map<number, number[]>} cells by column */
  show(tests, cells) {
    [this.tests, this.cells] = [tests, cells];
    const before = new Set(this.columnsShown);
    const changed = this.heads.map((_, column) => column).filter((column) => cells.has(column) !== before.has(column));
    for (const row of changed.length ? this.table.rows : []) {
      const places = [...row.cells];
      for (const column of changed) {
        const place = places[column + 1];
        if (place) place.hidden = !cells.has(column);
      }
    }
    this.columnsShown = [...cells.keys()].sort((one, other) => one - other);
    for (const column of this.columnsShown) this.nameCells(column);
    this.rowsShown = [...tests.keys()].slice(0, this.mostRows);
    const shown = new Set(this.rowsShown);
    for (const [number, row] of this.rows) row.hidden = !shown.has(number);
    for (const row of this.rowsShown) this.reveal(row);
    const left = tests.size - this.rowsShown.length;
    this.more.hidden = left < 1;
    this.more.textContent = say("{} more rows", left);
    const place = this.placeOf(this.current);
    if (!place || !shown.has(place.row) || !cells.has(place.column)) {
      this.reach(this.button(this.rowsShown[0], this.columnsShown[0]));
    }
    if (this.table.parentElement) this.table.parentElement.hidden = !tests.size;
  }

  /** Shows a row, which is made where it isn't in the page yet. @param {number} number */
  reveal(number) {
    const row = this.rows.get(number) ?? this.makeRow(number);
    row.hidden = false;
    if (!this.rowsShown.includes(number)) this.rowsShown = [...this.rowsShown, number].sort((one, other) => one - other);
    this.nameTests(number);
  }

  /** @param {number} number @returns {HTMLTableRowElement} */
  makeRow(number) {
    const { outcomes, grid, rows, tests } = index();
    const [count, first] = [rows[number] ?? 0, tests[firstTests()[number] ?? -1] ?? ""];
    const head = make("th", "", count > 1 ? make("details", "", make("summary", "")) : first);
    head.setAttribute("scope", "row");
    head.querySelector("details")?.addEventListener("toggle", () => this.nameTests(number));
    const places = (grid[number] ?? []).map((outcome, column) => {
      const { shown, kind } = outcomes[outcome] ?? { shown: "–", kind: "none" };
      const place = make("td", kind, matrixButton(shown));
      place.hidden = this.cells.size > 0 && !this.cells.has(column);
      return place;
    });
    const row = /** @type {HTMLTableRowElement} */ (make("tr", "", head, ...places));
    const next = [...this.rows.keys()].filter((other) => other > number).sort((one, other) => one - other)[0];
    this.table.tBodies[0]?.insertBefore(row, this.rows.get(next ?? -1) ?? null);
    this.rows.set(number, row);
    this.numbers.set(row, number);
    return row;
  }

  /** Tells the versions of a column that are shown. @param {number} column */
  nameCells(column) {
    const head = this.heads[column];
    const [versions, pythons] = [head?.querySelector(".version"), head?.querySelector(".python")];
    const cells = (this.cells.get(column) ?? []).map((number) => index().cells[number]);
    if (versions) versions.textContent = span(cells.map((cell) => cell?.version ?? ""));
    if (pythons) pythons.textContent = span(cells.map((cell) => `py${cell?.python}`));
  }

  /** Tells the tests of a row that are shown. @param {number} row */
  nameTests(row) {
    const details = this.rows.get(row)?.querySelector("details");
    const summary = details?.querySelector("summary");
    const count = index().rows[row] ?? 0;
    const tests = this.tests.get(row) ?? stretch(firstTests()[row] ?? 0, count);
    if (!details || !summary) return;
    summary.textContent = tests.length < count ? say("{} of {} tests", tests.length, count) : say("{} tests", count);
    if (!details.open) return;
    const names = tests.slice(0, MOST_NAMES).map((test) => index().tests[test] ?? "");
    const more = tests.length > MOST_NAMES ? [`… ${tests.length - MOST_NAMES}`] : [];
    details.replaceChildren(summary, ...[...names, ...more].map((name) => make("div", "", name)));
  }
}

/** @param {...(Node | string)} children @returns {HTMLButtonElement} */
function matrixButton(...children) {
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  button.append(...children);
  return button;
}

/** @param {string[]} words @returns {string} the first and the last of them */
function span(words) {
  const [first, last] = [words[0] ?? "", words[words.length - 1] ?? ""];
  return first === last ? first : `${first} – ${last}`;
}
