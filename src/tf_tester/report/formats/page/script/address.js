// The address says what is shown and opened; whatever a reader does changes it, and the page follows.

class Reader {
  /** @param {Matrix} matrix @param {HTMLFormElement} form */
  constructor(matrix, form) {
    this.matrix = matrix;
    this.form = form;
    this.narrowedTo = "";
    this.opened = JSON.stringify([null, null]);
    this.panel = once(
      () => new Panel(matrix, (cell, test) => this.open(cell, test), () => this.go({ cell: "", of: "" }, true)),
    );
    form.hidden = false;
    for (const kind of ["input", "change"]) form.addEventListener(kind, () => this.go(this.wanted(), false));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      this.go({ outcome: "", python: "", resolution: "", test: "", text: "" }, false);
    });
    matrix.table.addEventListener("click", (event) => {
      const place = matrix.placeOf(event.target);
      if (place) this.openPlace(place.row, place.column);
    });
    matrix.more.addEventListener("click", () => {
      matrix.mostRows *= 2;
      narrow(matrix, filtersOf(this.address()));
    });
    document.getElementById("causes")?.addEventListener("click", (event) => {
      const link = event.target instanceof Element ? event.target.closest("a") : null;
      if (!link) return;
      event.preventDefault(); // the part after # has the filters
      goToArticle(document.getElementById(link.hash.slice(1)));
    });
    window.addEventListener("popstate", () => this.follow());
    if (this.address().size) this.follow();
  }

  /** @returns {URLSearchParams} */
  address() {
    return new URLSearchParams(location.hash.slice(1));
  }

  /** @returns {Record<string, string>} what the form says */
  wanted() {
    const told = new FormData(this.form);
    /** @param {string} name @returns {string} */
    const of = (name) => told.getAll(name).join(",");
    return Object.fromEntries(["outcome", "python", "resolution", "test", "text"].map((name) => [name, of(name)]));
  }

  /** @param {Record<string, string>} changes @param {boolean} isStep one that the browser's "back" takes back */
  go(changes, isStep) {
    const address = this.address();
    for (const [name, value] of Object.entries(changes)) {
      if (value) address.set(name, value);
      else address.delete(name);
    }
    if (isStep) history.pushState(null, "", `#${address}`);
    else history.replaceState(null, "", `#${address}`);
    this.follow();
  }

  /** @param {number} row @param {number} column */
  openPlace(row, column) {
    const cell = this.matrix.cells.get(column)?.[0] ?? firstCells()[column] ?? 0;
    const test = this.matrix.tests.get(row)?.[0] ?? firstTests()[row] ?? 0;
    this.open(cell, index().rows[row] ? test : null);
  }

  /** @param {number} cell @param {number | null} test */
  open(cell, test) {
    const [name, of] = [index().cells[cell]?.name ?? "", test === null ? "" : (index().tests[test] ?? "")];
    this.go({ cell: name, of }, true);
  }

  /** Makes the page what the address says. */
  follow() {
    const address = this.address();
    const filters = filtersOf(address);
    for (const field of this.form.elements) {
      if (field instanceof HTMLInputElement && field.type === "checkbox") {
        field.checked = filters.outcomes.has(field.value);
      } else if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) {
        const value = address.get(field.name) ?? "";
        if (field.value !== value) field.value = value;
      }
    }
    const told = JSON.stringify({ ...filters, outcomes: [...filters.outcomes] });
    if (told !== this.narrowedTo) narrow(this.matrix, filters);
    this.narrowedTo = told;
    const opened = JSON.stringify([address.get("cell"), address.get("of")]);
    if (opened !== this.opened) this.showOpened(address.get("cell"), address.get("of"));
    this.opened = opened;
  }

  /** @param {string | null} name @param {string | null} of */
  showOpened(name, of) {
    if (name === null) {
      this.panel().close();
      return;
    }
    const cell = index().cells.findIndex((one) => one.name === name);
    const test = of === null ? null : index().tests.indexOf(of);
    if (cell < 0 || (test !== null && test < 0)) {
      const place = document.getElementById("shown");
      if (place) [place.hidden, place.textContent] = [false, say("This report has no such cell or test.")];
      return;
    }
    this.panel().show(cell, test);
    this.panel().title.focus({ preventScroll: true });
  }
}
