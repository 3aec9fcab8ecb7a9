// What is known of one cell of the matrix, in a panel beside it.

const MOST_CHOICES = 500;

/** @param {number} number @param {string} title @param {boolean} open @returns {HTMLElement} */
function textBlock(number, title, open) {
  const [before, ...lines] = evidence().texts[number] ?? [0];
  const shown = make("pre", "");
  if (before) shown.append(make("i", "", say("… {} lines before", before)), "\n");
  for (const line of lines) {
    const told = evidence().lines[line < 0 ? ~line : line] ?? "";
    shown.append(line < 0 ? make("mark", "", told) : told, "\n");
  }
  shown.tabIndex = 0;
  const details = /** @type {HTMLDetailsElement} */ (make("details", "", make("summary", "", say(title)), shown));
  details.open = open;
  return details;
}

/** @param {number} number @returns {string} */
function textOf(number) {
  return (evidence().texts[number] ?? []).slice(1).map((line) => evidence().lines[line < 0 ? ~line : line]).join("\n");
}

/** @param {[string, Node | string | undefined][]} facts those without a value are left out @returns {HTMLElement} */
function factList(facts) {
  const known = facts.filter(([, value]) => value !== undefined && value !== "");
  return make("dl", "", ...known.flatMap(([name, value]) => [make("dt", "", say(name)), make("dd", "", value ?? "")]));
}

/** @param {number | undefined} seconds @returns {string} */
function duration(seconds) {
  if (seconds === undefined) return "";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
}

/** @param {string} word @returns {string} as a POSIX shell takes it */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** @param {number} cell @param {number | null} test @returns {string} what the test took, as far as it is known */
function took(cell, test) {
  /** @param {"wall" | "cpu" | "memory"} name @returns {number | undefined} */
  const of = (name) => {
    const told = test === null ? "" : measures()[cell]?.[name]?.split(",")[test];
    return told ? Number(told) : undefined;
  };
  const [wall, cpu, memory] = [of("wall"), of("cpu"), of("memory")];
  return [
    wall === undefined ? "" : duration(wall / 1000),
    cpu === undefined ? "" : say("{} of the processor", duration(cpu / 1000)),
    memory === undefined ? "" : `${memory} MB`,
  ].filter(Boolean).join(" · ");
}

/** @param {number} cell @param {number | null} test @returns {HTMLElement[]} */
function ofTest(cell, test) {
  const { facts, cells } = evidence();
  const known = cells[cell];
  const entry = pairs(known?.entries ?? []).find(([number]) => number === test);
  const fact = entry ? facts[entry[1]] : undefined;
  const reason = fact?.reason;
  const shown = [
    factList([
      ["said", fact?.said === undefined ? undefined : make("strong", "", textOf(fact.said))],
      ["verdict", reason === undefined ? undefined : verdict(reason)],
      ["besides", fact?.besides === undefined ? undefined : textOf(fact.besides)],
      ["exit status", fact?.exit === undefined ? undefined : String(fact.exit)],
      ["limit", fact?.limit],
      ["took", took(cell, test)],
      ["enter it", known?.command && make("code", "", known.command)],
      ...(fact?.remarks ?? []).map((one) => /** @type {[string, string]} */ (["remark", textOf(one)])),
    ]),
  ];
  if (fact?.traceback !== undefined) shown.push(textBlock(fact.traceback, "Traceback", true));
  if (fact?.output !== undefined) shown.push(textBlock(fact.output, "Output", true));
  if (fact?.errors !== undefined) shown.push(textBlock(fact.errors, "Standard error", fact.traceback === undefined));
  if (fact?.warnings) {
    const items = fact.warnings.map((one) => make("li", "", textOf(one)));
    shown.push(make("h3", "", say("Warnings")), make("ul", "", ...items));
  }
  if (fact?.cut) shown.push(make("p", "note", say("Some of what it said is not in this page.")));
  else if (!fact && known?.left) {
    shown.push(make("p", "note", say("Of {} tests of this cell the page has the outcome alone.", known.left)));
  }
  return shown;
}

/** @param {number} number of a reason @returns {HTMLElement} its verdict, and the way to its article */
function verdict(number) {
  const button = /** @type {HTMLButtonElement} */ (make("button", "link", say("Why it fails"), " ↓"));
  button.type = "button";
  button.addEventListener("click", () => goToArticle(reasonPlaces()[number]?.article));
  return make("span", "", index().articles[number]?.verdict ?? "", " ", button);
}

/** @param {HTMLElement | null | undefined} article which may be hidden by a filter */
function goToArticle(article) {
  if (!article) return;
  article.hidden = false;
  if (article.parentElement) article.parentElement.hidden = false;
  article.tabIndex = -1;
  article.focus();
  article.scrollIntoView();
}

/** @param {number} cell @param {number} row @returns {HTMLElement[]} */
function dependencies(cell, row) {
  const { cells, pins } = evidence();
  const own = cells[cell]?.lock ?? [];
  const near = pairs(cells[cell]?.compared ?? []).find(([number]) => number === row)?.[1];
  const other = near === undefined ? undefined : cells[near]?.lock;
  const shown = [];
  if (other && own.length) {
    const label = index().cells[near ?? -1]?.label ?? "";
    const [before, after] = [byName(other, own), byName(own, other)];
    const rows = [...new Set([...before.keys(), ...after.keys()])].sort().map((name) => {
      const [old, now] = [before.get(name), after.get(name)];
      const note = old && old === now ? ` (${say("another file")})` : "";
      const head = make("th", "", name);
      head.setAttribute("scope", "row");
      return make("tr", "", head, make("td", "", old ?? "–"), make("td", "", (now ?? "–") + note));
    });
    const heads = [say("Distribution"), label, index().cells[cell]?.label ?? ""].map((title) => make("th", "", title));
    for (const head of heads) head.setAttribute("scope", "col");
    const table = make("table", "", make("thead", "", make("tr", "", ...heads)), make("tbody", "", ...rows));
    const wide = make("div", "wide", table);
    wide.tabIndex = 0;
    shown.push(make("h3", "", say("Different from {}, which passes", label)));
    shown.push(rows.length ? wide : make("p", "note", say("No distribution differs.")));
  }
  if (own.length) {
    const lines = own.map((pin) => (pins[pin] ?? []).join(" ")).join("\n");
    const lock = make("pre", "", lines);
    lock.tabIndex = 0;
    shown.push(make("details", "", make("summary", "", say("What is installed ({})", own.length)), lock));
  }
  return shown;
}

/** @param {number[]} lock @param {number[]} other @returns {Map<string, string>} versions of what only the first has */
function byName(lock, other) {
  const known = new Set(other);
  return new Map(lock.filter((pin) => !known.has(pin)).map((pin) => evidence().pins[pin] ?? ["", ""]));
}

/** @param {number} cell @returns {HTMLElement[]} */
function ofCell(cell) {
  const known = evidence().cells[cell];
  if (!known) return [];
  const phases = Object.entries(known.phases ?? {}).map(([name, seconds]) => `${name} ${duration(seconds)}`);
  const shown = [
    make("h3", "", say("The whole cell")),
    factList([
      ["outcome", known.outcome],
      ["said", known.summary === undefined ? undefined : textOf(known.summary)],
      ["hint", known.hint === undefined ? undefined : textOf(known.hint)],
      ["Python", known.interpreter],
      ["time", phases.join(" · ")],
      ["import", duration(known.import)],
      ["memory", known.memory === undefined ? "" : `${Math.round((known.memory * 1024) / 1e6)} MB`],
      ["replayed", known.replayed],
      ["folder", known.folder && make("code", "", known.folder)],
      ...(known.remarks ?? []).map((one) => /** @type {[string, string]} */ (["remark", textOf(one)])),
    ]),
  ];
  if (known.detail !== undefined) shown.push(textBlock(known.detail, "Details", true));
  return shown;
}

/** Beside the matrix, what is known of one cell of it. */
class Panel {
  /** @param {Matrix} matrix @param {(cell: number, test: number | null) => void} choose @param {() => void} close */
  constructor(matrix, choose, close) {
    this.matrix = matrix;
    this.choose = choose;
    this.title = make("h2", "");
    this.title.id = "opened";
    this.title.tabIndex = -1;
    this.content = make("div", "");
    const button = /** @type {HTMLButtonElement} */ (make("button", "close", say("Close")));
    button.type = "button";
    button.addEventListener("click", close);
    this.element = make("aside", "panel", button, this.title, this.content);
    this.element.setAttribute("aria-labelledby", this.title.id);
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && close());
    this.element.hidden = true;
    /** @type {HTMLButtonElement | null} the button of what is shown */
    this.opener = null;
    document.querySelector("main")?.append(this.element);
  }

  /** @param {number} cell @param {number | null} test */
  show(cell, test) {
    const { cells, tests, grid, outcomes, run } = index();
    const [row, column] = [test === null ? 0 : (rowOfTest()[test] ?? 0), columnOfCell()[cell] ?? 0];
    if (grid[row]) this.matrix.reveal(row);
    this.mark(this.matrix.button(row, column));
    const { name = "", label = "" } = cells[cell] ?? {};
    const outcome = outcomes[grid[row]?.[column] ?? -1] ?? { name: say("not run"), kind: "none" };
    this.title.replaceChildren(label, " ", make("span", `outcome ${outcome.kind}`, outcome.name));
    const command = `tf-tester show ${run ? quoted(run) : "RECORD"} --cell ${quoted(name)}`;
    const more = test === null ? command : `${command} --test ${quoted(tests[test] ?? "")}`;
    this.content.replaceChildren(
      ...(test === null ? [] : [make("p", "test", make("code", "", tests[test] ?? ""))]),
      ...this.choices(cell, test, row, column),
      ...ofTest(cell, test),
      ...dependencies(cell, row),
      ...ofCell(cell),
      factList([["all of it", make("code", "", more)]]),
    );
    this.element.hidden = false;
    page.classList.add("with-panel");
    this.element.scrollTop = 0;
    this.opener?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  close() {
    const opener = this.opener;
    this.mark(null);
    this.element.hidden = true;
    page.classList.remove("with-panel");
    (opener?.offsetParent ? opener : this.matrix.current)?.focus();
  }

  /** @param {HTMLButtonElement | null} opener */
  mark(opener) {
    this.opener?.removeAttribute("aria-current");
    opener?.setAttribute("aria-current", "true");
    if (opener) this.matrix.reach(opener);
    this.opener = opener;
  }

  /** @param {number} cell @param {number | null} test @param {number} row @param {number} column */
  choices(cell, test, row, column) {
    const { cells, tests, columns, rows } = index();
    const shown = [];
    const others = membersWith(cell, this.matrix.cells.get(column), firstCells()[column], columns[column]);
    if (others.length > 1) {
      const named = others.map((one) => /** @type {[number, string]} */ ([one, cells[one]?.label ?? ""]));
      shown.push(choice("Cell", named, cell, (chosen) => this.choose(chosen, test)));
    }
    const rest = test === null ? [] : membersWith(test, this.matrix.tests.get(row), firstTests()[row], rows[row]);
    if (test !== null && rest.length > 1) {
      const place = Math.max(Math.min(rest.indexOf(test), rest.length - MOST_CHOICES), 0);
      const named = rest
        .slice(place, place + MOST_CHOICES)
        .map((one) => /** @type {[number, string]} */ ([one, tests[one] ?? ""]));
      shown.push(choice("Test", named, test, (chosen) => this.choose(cell, chosen)));
      const more = rest.length - named.length;
      if (more) shown.push(make("p", "note", say("{} more tests: the filter Test narrows them.", more)));
    }
    return shown;
  }
}

/**
 * @param {number} one @param {number[] | undefined} shown @param {number} [first] @param {number} [count]
 * @returns {number[]} those that are shown, where it is one of them; else all
 */
function membersWith(one, shown, first, count) {
  return shown?.includes(one) ? shown : stretch(first ?? 0, count ?? 0);
}

/**
 * @param {string} title @param {[number, string][]} named @param {number} chosen @param {(one: number) => void} choose
 * @returns {HTMLElement}
 */
function choice(title, named, chosen, choose) {
  const options = named.map(([number, name]) => new Option(name, String(number), false, number === chosen));
  const select = /** @type {HTMLSelectElement} */ (make("select", "", ...options));
  select.addEventListener("change", () => choose(Number(select.value)));
  return make("label", "choice", say(title), " ", select);
}
