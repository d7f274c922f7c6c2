// The images: a row for each sample, made when it comes near the screen and removed when it is far.

const BLOCK = 12;
const NEAR = "1200px 0px";

class Gallery {
  constructor(samples, state, place, open) {
    Object.assign(this, { samples, state, place, open });
    this.rows = [];
    this.height = 0;
    this.near = new IntersectionObserver((seen) => this.follow(seen), { rootMargin: NEAR });
    this.width = 0;
    new ResizeObserver(() => this.resize()).observe(place);
  }

  show(rows) {
    this.rows = rows;
    this.near.disconnect();
    this.place.classList.toggle("pairs", this.state.isPair);
    const count = Math.ceil(rows.length / BLOCK);
    const blocks = Array.from({ length: count }, (_, at) =>
      element("div", { class: "block", "data-at": String(at) }),
    );
    this.place.replaceChildren(...blocks);
    this.measure();
    for (const block of blocks) this.near.observe(block);
  }

  // All rows are equally high, so the first block gives the height of those that are not made yet.
  measure() {
    const first = this.place.firstElementChild;
    if (!first) return;
    this.fill(first);
    this.height = first.getBoundingClientRect().height;
    this.place.style.setProperty("--block", `${this.height}px`);
    const last = this.place.lastElementChild;
    const share = (this.rows.length - BLOCK * (this.place.children.length - 1)) / BLOCK;
    if (last !== first) last.style.setProperty("--block", `${this.height * share}px`);
  }

  resize() {
    const width = this.place.clientWidth;
    if (width === this.width) return;
    this.width = width;
    this.measure();
  }

  follow(seen) {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) this.fill(target);
      else if (!target.contains(document.activeElement)) this.empty(target);
    }
  }

  fill(block) {
    if (block.classList.contains("filled")) return;
    const start = BLOCK * Number(block.dataset.at);
    const rows = this.rows.slice(start, start + BLOCK);
    block.replaceChildren(...rows.map((row, at) => this.row(row, start + at)));
    block.classList.add("filled");
  }

  empty(block) {
    block.replaceChildren();
    block.classList.remove("filled");
  }

  row(row, place) {
    const { id, text, tag } = this.samples.prompt(row);
    const { sample, seed } = this.samples.data.rows;
    const heading = element("h3", { class: "prompt", dir: "auto", title: visible(text) }, visible(text));
    const about = element(
      "p",
      { class: "about" },
      foreign(tag),
      ` · sample ${sample[row]} · seed ${this.samples.data.seeds[seed[row]]}`,
    );
    about.title = visible(id);
    const cells = this.state.columns.map((column) => this.cell(column, row, place));
    return element("article", {}, heading, about, element("div", { class: "cells" }, ...cells));
  }

  cell(column, row, place) {
    const label = this.samples.data.labels[column];
    const state = this.samples.state(column, row);
    const button = element(
      "button",
      { type: "button", class: `cell ${state}`, "data-key": `${column} ${row}` },
      element("span", { class: "box" }, picture(this.samples, column, row)),
      element("span", { class: "name", title: visible(label.name) }, mark(label), foreign(label.short)),
      element("span", { class: "verdict" }, this.verdict(column, row)),
      element("span", { class: "figures" }, this.figures(column, row)),
    );
    button.addEventListener("click", () => this.open(place, column));
    return button;
  }

  verdict(column, row) {
    const reason = visible(this.samples.text(column, "reason", row)).split("\n")[0];
    return verdictText(this.samples, column, row) + (reason ? `: ${reason}` : "");
  }

  figures(column, row) {
    const at = this.state.options.reward.indexOf(this.state.values.reward);
    const reward = this.samples.reward(column, at, row);
    return reward === null ? "" : `reward ${measured(reward)}`;
  }

  // The button of a sample, if its row is made; for the focus when the viewer closes.
  button(column, row) {
    return this.place.querySelector(`[data-key="${column} ${row}"]`);
  }

  reveal(place) {
    const block = this.place.children[Math.floor(place / BLOCK)];
    if (block) this.fill(block);
  }
}

function verdictText(samples, column, row) {
  const state = samples.state(column, row);
  if (state === "done") {
    return samples.data.judge === "grade" ? `grade ${amount(samples.score(column, row))}` : "";
  }
  return { right: "✓ right", wrong: "✗ wrong", failed: "failed", absent: "no record" }[state];
}

// The image, or a box that says why there is none.
function picture(samples, column, row) {
  const state = samples.state(column, row);
  if (state === "failed") return box(visible(samples.text(column, "error", row)));
  if (state === "absent") return box("not done yet");
  const address = samples.address(column, row);
  if (!address) return box("image missing");
  const image = element("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth < 128));
  image.addEventListener("error", () => image.replaceWith(box("image missing")));
  image.src = address;
  return image;
}

function box(text) {
  return element("span", { class: "missing" }, text);
}
