// One image in its real size in a dialog, with everything that is known of it.

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

class Viewer {
  constructor(samples, state, dialog) {
    Object.assign(this, { samples, state, dialog });
    dialog.addEventListener("keydown", (event) => {
      if (!(event.key in KEYS)) return;
      event.preventDefault();
      this.step(KEYS[event.key]);
    });
    dialog.addEventListener("click", (event) => {
      const step = event.target.closest("[data-step]")?.dataset.step;
      if (step === "close" || event.target === dialog) dialog.close();
      else if (step) this.step(step);
    });
    dialog.addEventListener("close", () => this.giveFocusBack());
  }

  open(gallery, place, column) {
    Object.assign(this, { gallery, place, column });
    this.show();
    this.dialog.showModal();
  }

  step(where) {
    const { columns } = this.state;
    const at = columns.indexOf(this.column);
    const last = this.gallery.rows.length - 1;
    if (where === "left") this.column = columns[Math.max(0, at - 1)];
    if (where === "right") this.column = columns[Math.min(columns.length - 1, at + 1)];
    if (where === "up") this.place = Math.max(0, this.place - 1);
    if (where === "down") this.place = Math.min(last, this.place + 1);
    this.show();
  }

  get row() {
    return this.gallery.rows[this.place];
  }

  giveFocusBack() {
    this.gallery.reveal(this.place);
    this.gallery.button(this.column, this.row)?.focus();
  }

  show() {
    const label = this.samples.data.labels[this.column];
    byId("viewer-heading").replaceChildren(mark(label), foreign(label.name));
    const prompt = byId("viewer-prompt");
    prompt.dir = "auto";
    prompt.textContent = visible(this.samples.prompt(this.row).text);
    byId("viewer-picture").replaceChildren(this.picture());
    const facts = this.facts().flatMap(([name, value]) => [
      element("dt", {}, name),
      element("dd", {}, foreign(value)),
    ]);
    byId("viewer-facts").replaceChildren(...facts);
  }

  picture() {
    const shown = picture(this.samples, this.column, this.row);
    const label = this.samples.data.labels[this.column];
    if (shown.tagName !== "IMG") return shown;
    shown.alt = visible(`${label.name}: ${this.samples.prompt(this.row).text}`);
    shown.loading = "eager";
    shown.addEventListener("load", () => {
      const size = byId("viewer-size");
      if (size) size.textContent = `${shown.naturalWidth} × ${shown.naturalHeight} pixels`;
    });
    if (this.samples.data.embedded) return shown;
    const about = element("span", { id: "viewer-size" });
    const link = element("a", { href: shown.getAttribute("src"), target: "_blank" }, "open the file");
    return element("figure", {}, shown, element("figcaption", {}, about, " · ", link));
  }

  // Names and values.
  facts() {
    const { samples, column, row } = this;
    const { data } = samples;
    const prompt = samples.prompt(row);
    const error = samples.text(column, "error", row);
    const reason = samples.text(column, "reason", row);
    const rewards = data.rewards.map((reward, at) => [reward.name, this.reward(at)]);
    const has = !["failed", "absent"].includes(samples.state(column, row));
    return [
      ["verdict", verdictText(samples, column, row)],
      ["reason", reason],
      ["error", error],
      ["prompt of the image", samples.text(column, "chosen", row)],
      ...(has ? rewards : []),
      ["generator passes", has ? amount(samples.value(column, "passes", row)) : ""],
      ["seconds", has ? amount(samples.value(column, "seconds", row)) : ""],
      ["task", prompt.tag],
      ["prompt", prompt.id],
      ["sample, seed", `${data.rows.sample[row]}, ${data.seeds[data.rows.seed[row]]}`],
    ].filter(([, value]) => value);
  }

  reward(at) {
    const value = measured(this.samples.reward(this.column, at, this.row));
    const change = this.column ? this.samples.change(at, 0, this.column, this.row) : null;
    return change === null
      ? value
      : `${value} (${measured(change, { sign: true })} to ${this.samples.data.labels[0].name})`;
  }
}
