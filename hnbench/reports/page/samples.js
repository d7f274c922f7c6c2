// The samples of a page: its data by row and method, and which rows fit the filters in which order.

const STATES = { 1: "right", 0: "wrong", d: "done", f: "failed", " ": "absent" };

class Samples {
  constructor(data) {
    this.data = data;
    this.size = data.rows.prompt.length;
    this.searched = data.prompts.text.map((text) => text.toLowerCase());
    this.ids = data.columns.map(() => null);
  }

  static at(values, row) {
    return Array.isArray(values) ? values[row] : values;
  }

  value(column, name, row) {
    return Samples.at(this.data.columns[column][name], row);
  }

  text(column, name, row) {
    const index = this.value(column, name, row);
    return index < 0 ? "" : this.data.texts[index];
  }

  state(column, row) {
    return STATES[this.data.columns[column].state[row]];
  }

  reward(column, index, row) {
    return Samples.at(this.data.columns[column].rewards[index], row) ?? null;
  }

  // What two methods are compared by: the verdict as 1 or 0, a grade, or the optimised reward.
  score(column, row) {
    if (this.data.judge === "none") return this.reward(column, 0, row);
    if (this.data.judge === "grade") return this.value(column, "score", row);
    return { right: 1, wrong: 0 }[this.state(column, row)] ?? null;
  }

  // The address of an image; null if there is none.
  address(column, row) {
    if (["failed", "absent"].includes(this.state(column, row))) return null;
    if (this.data.embedded) return this.data.columns[column].pictures[row];
    this.ids[column] ??= atob(this.data.columns[column].ids);
    const id = [...this.ids[column].slice(32 * row, 32 * row + 32)]
      .map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0"))
      .join("");
    const folder = this.data.columns[column].folders[this.data.rows.seed[row]];
    return `${this.data.folders[folder]}/images/${id.slice(0, 2)}/${id}.png`;
  }

  prompt(row) {
    const at = this.data.rows.prompt[row];
    const { id, text, tag } = this.data.prompts;
    return { id: id[at], text: text[at], tag: this.data.tags[tag[at]] };
  }

  change(reward, a, b, row) {
    const [before, after] = [this.reward(a, reward, row), this.reward(b, reward, row)];
    return before === null || after === null ? null : after - before;
  }

  // The change of what two methods are compared by; null if one of them has none.
  gain(a, b, row) {
    const [before, after] = [this.score(a, row), this.score(b, row)];
    return before === null || after === null ? null : after - before;
  }

  // How far methods differ in a row, from 0 on: by verdicts the share of the smaller side.
  disagreement(columns, row) {
    const scores = columns.map((at) => this.score(at, row)).filter((one) => one !== null);
    if (!scores.length) return 0;
    if (this.data.judge !== "verdict") return Math.max(...scores) - Math.min(...scores);
    const right = scores.filter(Boolean).length;
    return Math.min(right, scores.length - right) / scores.length;
  }

  spread(columns, row) {
    const rewards = columns.map((at) => this.reward(at, 0, row)).filter((one) => one !== null);
    return rewards.length ? Math.max(...rewards) - Math.min(...rewards) : 0;
  }

  fits(state, row) {
    const { tag, q, least, change } = state.values;
    const at = this.data.rows.prompt[row];
    if (tag && this.data.tags[this.data.prompts.tag[at]] !== tag) return false;
    if (q && !this.searched[at].includes(q.toLowerCase())) return false;
    const [a, b] = [state.indexOf("a"), state.indexOf("b")];
    if (Number(least) > 0) {
      const found = this.change(state.options.reward.indexOf(state.values.reward), a, b, row);
      if (found === null || Math.abs(found) < Number(least)) return false;
    }
    if (change === "any") return true;
    const [before, after] = [this.score(a, row), this.score(b, row)];
    // A sample that failed for one of them differs, but neither gained nor lost.
    if (before === null || after === null) return change === "differ" && before !== after;
    return {
      differ: before !== after,
      gain: after > before,
      loss: after < before,
      same: after === before,
    }[change];
  }

  // The rows that fit, in the chosen order.
  chosen(state) {
    const rows = Array.from({ length: this.size }, (_, row) => row).filter((row) =>
      this.fits(state, row),
    );
    const { order, reward } = state.values;
    const columns = state.isPair ? state.columns : this.data.columns.map((_, at) => at);
    const [a, b] = [state.indexOf("a"), state.indexOf("b")];
    const at = state.options.reward.indexOf(reward);
    const last = (value) => -(value ?? -Infinity);
    const grown = (row) => last(this.change(at, a, b, row));
    const keys = {
      prompt: (row) => [0, 0, this.data.rows.prompt[row]],
      gain: (row) => [last(this.gain(a, b, row)), grown(row), 0],
      change: (row) => [grown(row), 0, 0],
      disagreement: (row) => [-this.disagreement(columns, row), -this.spread(columns, row), 0],
    };
    return rows
      .map((row) => ({ row, key: [...keys[order](row), row] }))
      .sort((x, y) => {
        const first = x.key.findIndex((value, place) => value !== y.key[place]);
        return first < 0 ? 0 : x.key[first] - y.key[first];
      })
      .map(({ row }) => row);
  }
}
