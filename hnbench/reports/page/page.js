// Joins the parts of a page when it is opened.

function fillChoices(data) {
  for (const id of ["a", "b"]) {
    byId(id).append(
      ...data.labels.map((one) => element("option", { value: one.label }, visible(one.name))),
    );
  }
  byId("tag").append(
    element("option", { value: "" }, "all tasks"),
    ...data.tags.map((tag) => element("option", { value: tag }, visible(tag))),
  );
  byId("reward").append(
    ...data.rewards.map((one) => element("option", { value: one.name }, visible(one.name))),
  );
  byId("shown").append(
    ...data.labels.map((one) =>
      element(
        "label",
        {},
        element("input", { type: "checkbox", name: "methods", value: one.label }),
        mark(one),
        foreign(one.name),
      ),
    ),
  );
}

// A small mark in the method's colour before its name in the first column of the tables.
function markMethods(data) {
  const byName = new Map(data.labels.map((one) => [visible(one.name), one]));
  for (const cell of document.querySelectorAll("main td:first-child")) {
    const label = byName.get(cell.textContent.trim().replace(/\s*⚠$/, ""));
    if (label) cell.prepend(mark(label));
  }
}

function startTables() {
  for (const group of document.querySelectorAll(".scroll")) {
    const heading = group.closest("section")?.querySelector("h2, h3");
    group.setAttribute("aria-label", heading ? `Table: ${heading.textContent.trim()}` : "Table");
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    if (table.tHead) makeSortable(table);
  }
}

function startGallery(data) {
  const form = byId("filters");
  fillChoices(data);
  const state = new State(data, form);
  const samples = new Samples(data);
  const viewer = new Viewer(samples, state, byId("viewer"));
  const gallery = new Gallery(samples, state, byId("gallery"), (place, column) =>
    viewer.open(gallery, place, column),
  );

  const show = () => {
    state.fillForm();
    const rows = samples.chosen(state);
    gallery.show(rows);
    showPair(data, state);
    byId("count").textContent = `${rows.length} of ${samples.size} samples`;
    byId("nothing").hidden = rows.length > 0;
    document.querySelector(".methods").hidden = state.isPair;
  };
  const change = () => {
    state.readForm();
    history.replaceState(null, "", state.fragment);
    show();
  };
  const follow = () => {
    if (location.hash !== FRAGMENT && !location.hash.startsWith(`${FRAGMENT}?`)) return;
    state.read(location.hash);
    show();
    byId("images").scrollIntoView();
  };
  document.querySelector(".views").hidden = data.labels.length < 2;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", change);
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    state.values = { ...state.defaults };
    history.replaceState(null, "", FRAGMENT);
    show();
  });
  window.addEventListener("hashchange", follow);
  show();
  follow();
}

// A page without images, such as that of runs without a common noise, has no data.
function start() {
  const data = JSON.parse(byId("data").textContent);
  if (data) markMethods(data);
  startTables();
  if (data) startGallery(data);
}

start();
