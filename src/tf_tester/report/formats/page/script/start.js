document.addEventListener("DOMContentLoaded", () => {
  const [table, form] = [document.getElementById("matrix"), document.getElementById("filters")];
  if (table instanceof HTMLTableElement && form instanceof HTMLFormElement) {
    new Reader(new Matrix(table, document.getElementById("more")), form);
  }
});
