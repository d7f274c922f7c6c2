// What is shown, as an object of texts. It lives in the address after `#images?`, so a view can be
// linked.

const FRAGMENT = "#images";

class State {
  constructor(data, form) {
    this.data = data;
    this.form = form;
    const names = data.labels.map((one) => one.label);
    const featured = data.shown.filter((name) => name !== names[0]);
    const second = featured.find((name) => name === "hypernoise") ?? featured.at(-1) ?? names[0];
    this.options = {
      view: ["all", ...(names.length > 1 ? ["pair"] : [])],
      a: names,
      b: names,
      change: ["any", "differ", "gain", "loss", "same"],
      tag: ["", ...data.tags],
      reward: data.rewards.map((one) => one.name),
      order: ["disagreement", "prompt", "gain", "change"],
    };
    this.defaults = {
      view: "all",
      a: names[0],
      b: second,
      change: "any",
      tag: "",
      reward: data.rewards[0]?.name ?? "",
      least: "",
      order: "disagreement",
      q: "",
      shown: data.shown.join("\n"),
      ...data.start,
    };
    this.values = { ...this.defaults };
  }

  // Take what the address says; anything that this page does not have is left at its default.
  read(hash) {
    this.values = { ...this.defaults };
    if (!hash.startsWith(`${FRAGMENT}?`)) return;
    const given = new URLSearchParams(hash.slice(FRAGMENT.length + 1));
    for (const [name, options] of Object.entries(this.options)) {
      if (options.includes(given.get(name))) this.values[name] = given.get(name);
    }
    if (given.has("q")) this.values.q = given.get("q");
    if (Number(given.get("least")) > 0) this.values.least = given.get("least");
    const known = this.options.a.filter((name) => given.getAll("shown").includes(name));
    if (known.length) this.values.shown = known.join("\n");
  }

  get fragment() {
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries(this.values)) {
      if (value === this.defaults[name]) continue;
      for (const one of name === "shown" ? value.split("\n") : [value]) parts.append(name, one);
    }
    const text = parts.toString();
    return text ? `${FRAGMENT}?${text}` : FRAGMENT;
  }

  fillForm() {
    for (const [name, value] of Object.entries(this.values)) {
      if (name !== "shown") this.form.elements[name].value = value;
    }
    const shown = new Set(this.values.shown.split("\n"));
    for (const box of byId("shown").querySelectorAll("input")) box.checked = shown.has(box.value);
  }

  readForm() {
    const before = this.values.view;
    for (const name of Object.keys(this.values)) {
      if (name !== "shown") this.values[name] = this.form.elements[name].value;
    }
    const boxes = [...byId("shown").querySelectorAll("input:checked")];
    this.values.shown = boxes.length
      ? boxes.map((box) => box.value).join("\n")
      : this.defaults.shown;
    // A against B is about the samples that differ, until another choice is made.
    if (before !== this.values.view) {
      if (this.values.view === "pair" && this.values.change === "any") this.values.change = "differ";
      if (this.values.view === "all" && this.values.change === "differ") this.values.change = "any";
    }
    this.fillForm();
  }

  get isPair() {
    return this.values.view === "pair";
  }

  indexOf(name) {
    return this.options.a.indexOf(this.values[name]);
  }

  // The indices of the methods that have a column.
  get columns() {
    if (this.isPair) return [...new Set([this.indexOf("a"), this.indexOf("b")])];
    const shown = new Set(this.values.shown.split("\n"));
    return this.options.a.flatMap((name, at) => (shown.has(name) ? [at] : []));
  }
}
