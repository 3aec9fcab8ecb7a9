// What narrows the page: outcomes, a Python, dependencies, words in names of tests, words anywhere.

/** @param {URLSearchParams} address @returns {Filters} */
function filtersOf(address) {
  const outcomes = new Set((address.get("outcome") ?? "").split(",").filter(Boolean));
  const [python, resolution] = [address.get("python") ?? "", address.get("resolution") ?? ""];
  return { outcomes, python, resolution, test: address.get("test") ?? "", text: address.get("text") ?? "" };
}

/** @param {string} text @returns {Hits} where it stands: in a cell's label, in a test's name, in what was said */
function search(text) {
  const words = text.toLowerCase();
  const { facts, texts, cells } = evidence();
  const lines = lowerLines().map((line) => line.includes(words));
  const within = texts.map((told) => told.some((line, place) => place > 0 && lines[line < 0 ? ~line : line]));
  /** @param {(number | undefined)[]} numbers @returns {boolean} */
  const oneSays = (numbers) => numbers.some((number) => number !== undefined && within[number]);
  const factSays = facts.map((fact) =>
    oneSays([fact.said, fact.besides, fact.traceback, fact.output, fact.errors, ...(fact.warnings ?? [])]),
  );
  /** @type {Hits} */
  const hits = { cells: new Set(), tests: new Set(), said: new Map() };
  lowerTests().forEach((name, test) => name.includes(words) && hits.tests.add(test));
  cells.forEach((cell, number) => {
    const label = index().cells[number]?.label.toLowerCase() ?? "";
    if (label.includes(words) || oneSays([cell.summary, cell.hint, cell.detail])) hits.cells.add(number);
    const tests = pairs(cell.entries).filter(([, fact]) => factSays[fact]);
    if (tests.length) hits.said.set(number, tests.map(([test]) => test));
  });
  return hits;
}

/** @param {number[]} numbers @returns {[number, number][]} */
function pairs(numbers) {
  return stretch(0, numbers.length / 2).map((place) => [numbers[2 * place] ?? 0, numbers[2 * place + 1] ?? 0]);
}

/** @param {Matrix} matrix @param {Filters} filters */
function narrow(matrix, filters) {
  const { cells, rows, columns, grid, outcomes, articles } = index();
  const [words, hits] = [filters.test.toLowerCase(), filters.text ? search(filters.text) : null];
  const testMeant = lowerTests().map((name) => name.includes(words));
  const cellMeant = cells.map(
    ({ python, resolution }) =>
      (!filters.python || python === filters.python) && (!filters.resolution || resolution === filters.resolution),
  );
  /** @param {number | undefined} outcome @returns {boolean} */
  const isMeant = (outcome) => !filters.outcomes.size || filters.outcomes.has(outcomes[outcome ?? -1]?.name ?? "");
  const testsOf = rows.map((count, row) => stretch(firstTests()[row] ?? 0, count).filter((test) => testMeant[test]));
  const cellsOf = columns.map((count, column) =>
    stretch(firstCells()[column] ?? 0, count).filter((cell) => cellMeant[cell]),
  );
  const [sayingTests, sayingCells, saying] = [new Set(hits?.tests), new Set(hits?.cells), new Set()];
  for (const [cell, tests] of hits?.said ?? []) {
    for (const test of cellMeant[cell] ? tests.filter((test) => testMeant[test]) : []) {
      sayingCells.add(cell);
      sayingTests.add(test);
      saying.add(`${rowOfTest()[test]} ${columnOfCell()[cell]}`);
    }
  }
  const rowNamed = testsOf.map((tests) => tests.some((test) => hits?.tests.has(test)));
  const columnNamed = cellsOf.map((cells) => cells.some((cell) => hits?.cells.has(cell)));
  /** @type {[Map<number, number[]>, Map<number, number[]>]} */
  const [testsShown, cellsShown] = [new Map(), new Map()];
  grid.forEach((places, row) => {
    const [tests, isWhole] = [testsOf[row] ?? [], !rows[row] && !words];
    places.forEach((outcome, column) => {
      const members = cellsOf[column] ?? [];
      if (!(tests.length || isWhole) || !members.length || !isMeant(outcome)) return;
      if (hits && !rowNamed[row] && !columnNamed[column] && !saying.has(`${row} ${column}`)) return;
      if (!testsShown.has(row)) testsShown.set(row, hits ? those(tests, sayingTests) : tests);
      if (!cellsShown.has(column)) cellsShown.set(column, hits ? those(members, sayingCells) : members);
    });
  });
  matrix.show(testsShown, cellsShown);
  const reasonsShown = articles.map((article, number) => {
    const place = reasonPlaces()[number];
    const isShown =
      isMeant(article.outcome) &&
      hasOne(article.cells, cellMeant) &&
      (article.tests.length ? hasOne(article.tests, testMeant) : !words) &&
      (!hits || (place?.text() ?? "").includes(filters.text.toLowerCase()));
    if (place) place.article.hidden = !isShown;
    return isShown;
  });
  narrowCauses(reasonsShown, cellMeant);
  const reasons = reasonsShown.filter(Boolean).length;
  tellShown(filters, [...testsShown.values()].flat().length, [...cellsShown.values()].flat().length, reasons);
}

/** @param {boolean[]} shown of the articles @param {boolean[]} cellMeant */
function narrowCauses(shown, cellMeant) {
  const table = document.getElementById("causes");
  if (!(table instanceof HTMLTableElement)) return;
  const columns = index().causes.map((cells) => hasOne(cells, cellMeant));
  const changed = columns.some((isMeant, column) => table.tHead?.rows[0]?.cells[column + 1]?.hidden === isMeant);
  [...table.rows].forEach((row, number) => {
    row.hidden = number > 0 && !shown[number - 1];
    if (changed) [...row.cells].slice(1).forEach((place, column) => (place.hidden = !columns[column]));
  });
  const section = table.closest("section");
  if (section) section.hidden = [...(table.tBodies[0]?.rows ?? [])].every((row) => row.hidden);
}

/** @param {number[]} members @param {Set<number>} meant @returns {number[]} those; all where it is none of them */
function those(members, meant) {
  const found = members.filter((member) => meant.has(member));
  return found.length ? found : members;
}

/** @param {number[]} ranges @param {boolean[]} meant @returns {boolean} */
function hasOne(ranges, meant) {
  return pairs(ranges).some(([first, count]) => meant.slice(first, first + count).includes(true));
}

const reasonPlaces = once(() =>
  [...document.querySelectorAll("article[data-article]")].map((element) => {
    const article = /** @type {HTMLElement} */ (element);
    const told = () => [...article.querySelectorAll("h3, dd, pre")].map((one) => one.textContent).join("\n");
    return { article, text: once(() => told().toLowerCase()) };
  }),
);

/** @param {Filters} filters @param {number} tests @param {number} cells @param {number} reasons */
function tellShown(filters, tests, cells, reasons) {
  const place = document.getElementById("shown");
  if (!place) return;
  const { python, resolution, test, text, outcomes } = filters;
  place.hidden = !(python || resolution || test || text || outcomes.size);
  const counts = [tests, index().tests.length, cells, index().cells.length, reasons, index().articles.length];
  place.textContent =
    cells || reasons
      ? say("Shown: {} of {} tests, {} of {} cells, {} of {} reasons.", ...counts)
      : say("Nothing matches.");
  for (const section of document.querySelectorAll("section")) {
    const articles = [...section.querySelectorAll("article[data-article]")];
    if (articles.length) section.hidden = articles.every((article) => article instanceof HTMLElement && article.hidden);
  }
}
