// The pictures of a grid: tables as the matrix is one, whose fields open what became of a product under one version.

/**
 * A field; `pair`: its map, and the cells that saved and loaded; `said`: a line; `numbers`: the cells of a table's rows.
 * @typedef {{
 *   pair: [number, number, number], outcome: string, shown: string, kind: string, tests: number[],
 *   said?: number, numbers?: string[][], promised?: boolean,
 * }} Field
 */
/** @typedef {{product: string, rows: number[], columns: number[]}} HeatMap cells of rows and columns */
/**
 * What a cell has saved; `test`: by which of its tests, null where the page doesn't tell of it.
 * @typedef {{
 *   cell: number, test: number | null, name: string, size: string, files: number, digest: string, paths: string[],
 * }} Product
 */
/**
 * `labels`: what cells are called here; `command`: tries a field again, with `{saved}` and `{loaded}` for the versions.
 * @typedef {{
 *   labels: string[], maps: HeatMap[], fields: Field[], lines: string[], products: Product[], command: string,
 * }} Grid
 */

const grid = once(() => /** @type {Grid} */ (block("grid")));
const fieldNumbers = once(() => new Map(grid().fields.map(({ pair }, number) => [pair.join(" "), number])));
const heatTables = once(() =>
  [...document.querySelectorAll("table.heat")].map((table) => new Matrix(/** @type {HTMLTableElement} */ (table), null)),
);

const VALUE_TITLES = [
  "Value", "as it was saved", "as it was loaded", "max abs", "max rel", "ULPs", "numbers that differ", "allowed",
];

/** @param {Field} field @returns {HTMLElement[]} both values of each number that isn't what it was */
function valueTables(field) {
  return (field.numbers ?? []).map((told) => {
    const rows = told.map((value, place) => {
      const title = VALUE_TITLES[place] ?? "";
      const head = make("th", "", say(title));
      head.setAttribute("scope", "row");
      return make("tr", "", head, make("td", "", value));
    });
    const wide = make("div", "wide", make("table", "values", make("tbody", "", ...rows)));
    wide.tabIndex = 0;
    return wide;
  });
}

/** @param {string} product @param {number} saver @returns {Product | undefined} */
function productOf(product, saver) {
  return grid().products.find(({ cell, name }) => cell === saver && name === product);
}

/** @param {string} product @param {number} saver @returns {[string, Node | string | undefined][]} */
function productFacts(product, saver) {
  const known = productOf(product, saver);
  if (!known) return [];
  const paths = known.paths.join("\n") + (known.files > known.paths.length ? "\n…" : "");
  return [
    ["product", known.size],
    ["files", make("pre", "", paths)],
    ["SHA-256", make("code", "", known.digest)],
  ];
}

/** Beside the page, what is known of one field. */
class FieldPanel extends Panel {
  /** @param {Matrix} matrix @param {(cell: number, test: number | null) => void} choose @param {() => void} close */
  constructor(matrix, choose, close) {
    super(matrix, choose, close);
    this.title.id = "opened-field";
    this.element.setAttribute("aria-labelledby", this.title.id);
  }

  /** @param {Field} field */
  showField(field) {
    const [map, saver, loader] = field.pair;
    const { product = "", rows = [], columns = [] } = grid().maps[map] ?? {};
    const table = heatTables()[map];
    if (table) {
      this.mark(null);
      this.matrix = table;
      this.mark(table.button(placeIn(rows, saver), placeIn(columns, loader)));
    }
    const cells = index().cells;
    const [saved, loaded] = [grid().labels[saver] ?? "", grid().labels[loader] ?? ""];
    const told = say("{} saved by {}, loaded by {}", product, saved, loaded);
    this.title.replaceChildren(told, " ", make("span", `outcome ${field.kind}`, field.outcome));
    const [old, now] = [cells[saver], cells[loader]].map((cell) => quoted(cell?.version ?? ""));
    const command = grid().command.replace("{saved}", () => old ?? "").replace("{loaded}", () => now ?? "");
    const source = /** @type {HTMLButtonElement} */ (make("button", "link", saved));
    source.type = "button";
    source.addEventListener("click", () => this.choose(saver, productOf(product, saver)?.test ?? null));
    const promised = field.promised === undefined ? undefined : field.promised ? say("yes") : say("no");
    this.content.replaceChildren(
      factList([
        // What tests say stands below, with them.
        ["said", field.said === undefined || field.tests.length ? "" : make("strong", "", grid().lines[field.said] ?? "")],
        ["promised", promised],
        ["What saved it", source],
        ...productFacts(product, saver),
        ["try this field again", command && make("code", "", command)],
      ]),
      ...valueTables(field),
      ...field.tests.flatMap((test) => [
        make("p", "test", make("code", "", index().tests[test] ?? "")),
        ...ofTest(loader, test),
      ]),
      ...ofCell(loader),
    );
    this.element.hidden = false;
    page.classList.add("with-panel");
    this.element.scrollTop = 0;
    this.opener?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

/** @param {number[]} cells the first of each row, or column @param {number} cell @returns {number} the place of its band */
function placeIn(cells, cell) {
  let place = cells.indexOf(cell);
  if (place < 0) cells.forEach((first, number) => first <= cell && (place = number));
  return place;
}

/** @type {FieldPanel | undefined} */
let fieldPanel;
const NO_FIELD = JSON.stringify(["", "", ""]);
let openedField = NO_FIELD;

/** Opens fields, too: the address says which one, by a product, who saved and who loaded. */
class GridReader extends Reader {
  /** @param {Record<string, string>} changes @param {boolean} isStep */
  go(changes, isStep) {
    super.go("cell" in changes ? { product: "", saved: "", loaded: "", ...changes } : changes, isStep);
  }

  /** @param {number} map @param {number} row @param {number} column */
  openField(map, row, column) {
    const { product = "", rows = [], columns = [] } = grid().maps[map] ?? {};
    const [saved, loaded] = [rows[row], columns[column]].map((cell) => index().cells[cell ?? -1]?.name ?? "");
    this.go({ cell: "", of: "", product, saved: saved ?? "", loaded: loaded ?? "" }, true);
  }

  follow() {
    const address = this.address();
    const [product, saved, loaded] = [address.get("product"), address.get("saved"), address.get("loaded")];
    const told = JSON.stringify([product ?? "", saved ?? "", loaded ?? ""]);
    const isNew = told !== openedField;
    openedField = told;
    if (isNew && !(saved && loaded)) this.closeField();
    super.follow();
    if (isNew && saved && loaded) this.showField(product ?? "", saved, loaded);
  }

  closeField() {
    if (fieldPanel && !fieldPanel.element.hidden) fieldPanel.close();
  }

  /** @param {string} product @param {string} saved @param {string} loaded names of cells */
  showField(product, saved, loaded) {
    const places = [saved, loaded].map((cell) => index().cells.findIndex(({ name }) => name === cell));
    const map = grid().maps.findIndex((one) => one.product === product);
    const field = grid().fields[fieldNumbers().get([map, ...places].join(" ")) ?? -1];
    if (!field) {
      const place = document.getElementById("shown");
      if (place) [place.hidden, place.textContent] = [false, say("This report has no such field.")];
      this.closeField();
      return;
    }
    fieldPanel ??= new FieldPanel(
      this.matrix, (cell, test) => this.open(cell, test), () => this.go({ product: "", saved: "", loaded: "" }, true),
    );
    fieldPanel.showField(field);
    fieldPanel.title.focus({ preventScroll: true });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const [table, form] = [document.getElementById("matrix"), document.getElementById("filters")];
  if (!(table instanceof HTMLTableElement && form instanceof HTMLFormElement)) return;
  const reader = new GridReader(new Matrix(table, document.getElementById("more")), form);
  heatTables().forEach((heat, map) => {
    heat.table.addEventListener("click", (event) => {
      const place = heat.placeOf(event.target);
      if (place) reader.openField(map, place.row, place.column);
    });
  });
});
