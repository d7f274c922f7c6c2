// Tables of class `sortable`: a click on a header sorts by its column, a third one restores the order.

const NUMBER = /^[<>~±]?\s*([+\-−]?(?:\d[\d,]*)?\.?\d+(?:e[+-]?\d+)?)/i;

// The number that a cell begins with; null for a text.
function leadingNumber(text) {
  if (text.startsWith("∞")) return Infinity;
  if (text.startsWith("-∞")) return -Infinity;
  const found = NUMBER.exec(text);
  return found ? Number(found[1].replaceAll(",", "").replace("−", "-")) : null;
}

function cellText(row, column) {
  return row.cells[column]?.textContent.trim() ?? "";
}

function isNumeric(rows, column) {
  const filled = rows.map((row) => cellText(row, column)).filter(Boolean);
  return filled.filter((text) => leadingNumber(text) !== null).length * 2 > filled.length;
}

// Cells without a value stay last in both directions.
function sortRows(rows, column, direction) {
  const numeric = isNumeric(rows, column);
  const keyOf = (row) => {
    const text = cellText(row, column);
    return numeric ? leadingNumber(text) : text || null;
  };
  const compare = numeric ? (x, y) => x - y : (x, y) => x.localeCompare(y, undefined, { numeric: true });
  return rows
    .map((row) => ({ row, key: keyOf(row) }))
    .sort((x, y) => {
      if (x.key === null || y.key === null) return (x.key === null) - (y.key === null);
      return direction * (x.key === y.key ? 0 : compare(x.key, y.key));
    })
    .map(({ row }) => row);
}

function makeSortable(table) {
  const headers = [...table.tHead.rows[0].cells];
  if (!table.tBodies.length || headers.every((header) => !header.textContent.trim())) return;
  const body = table.tBodies[0];
  const original = [...body.rows];
  for (const [column, header] of headers.entries()) {
    const name = header.textContent.trim();
    if (!name) continue;
    const button = element("button", { type: "button", class: "sort" }, name);
    header.replaceChildren(button);
    button.addEventListener("click", () => {
      const first = isNumeric(original, column) ? "descending" : "ascending";
      const second = first === "descending" ? "ascending" : "descending";
      const next = { [first]: second, [second]: null }[header.getAttribute("aria-sort")];
      const order = next === undefined ? first : next;
      for (const other of headers) other.removeAttribute("aria-sort");
      if (order) header.setAttribute("aria-sort", order);
      const sorted = order ? sortRows(original, column, order === "ascending" ? 1 : -1) : original;
      body.append(...sorted);
    });
  }
}
