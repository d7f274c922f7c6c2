// A against B: the numbers of the pair, computed by hnbench over all samples.

// The scores of B against A, overall and by task, whichever of the two comes first in the data.
function pairOf(data, a, b) {
  const [first, second] = a < b ? [a, b] : [b, a];
  const count = data.labels.length;
  // The place of a pair in the order (0, 1), (0, 2), ... (1, 2), ...
  const scores = data.pairs[first * count - (first * (first + 1)) / 2 + second - first - 1];
  if (a < b) return scores;
  const minus = (value) => (value === null ? null : -value || 0);
  return scores.map(([difference, low, high, wins, losses, ties]) => [
    minus(difference), minus(high), minus(low), losses, wins, ties,
  ]);
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}

function withBounds([difference, low, high]) {
  if (difference === null) return "not measured";
  return `${signed(difference)} [${low === null ? "no interval" : `${signed(low)}, ${signed(high)}`}]`;
}

function showPair(data, state) {
  const section = byId("pair");
  const [a, b] = [state.indexOf("a"), state.indexOf("b")];
  section.hidden = !state.isPair || a === b;
  if (section.hidden) return;
  const [overall, ...tags] = pairOf(data, a, b);
  const names = [b, a].flatMap((at) => [mark(data.labels[at]), foreign(data.labels[at].name)]);
  names.splice(2, 0, " against ");
  byId("pair-heading").replaceChildren(...names);
  const what = { verdict: "score", grade: "grade", none: `reward ${visible(data.rewards[0]?.name ?? "")}` }[data.judge];
  const [, , , wins, losses, ties] = overall;
  byId("pair-total").replaceChildren(
    element("strong", {}, withBounds(overall)),
    ` paired difference of the ${what}, with its 95% interval. B is higher in ${wins} samples, A in `,
    `${losses}; they are equal in ${ties}.`,
  );
  showTags(data, tags);
}

function showTags(data, tags) {
  const head = ["task", "B − A [95%]", "B higher", "A higher", "equal"].map((text, at) =>
    element("th", { scope: "col", class: at ? "number" : null }, text),
  );
  const rows = tags.map((scores, at) =>
    element(
      "tr",
      {},
      element("td", {}, foreign(data.tags[at])),
      ...[withBounds(scores), ...scores.slice(3)].map((value) =>
        element("td", { class: "number" }, String(value)),
      ),
    ),
  );
  const table = byId("pair-tags");
  table.replaceChildren(
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
  makeSortable(table);
}
