// Making elements. Texts of a run enter the page here, always as text and never as HTML.

const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]|\p{Cs}/gu;

// The text with control characters, marks that change its direction and half surrogates as escapes.
function visible(text) {
  return text.replace(UNSEEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// A text of a run, whose direction of writing is its own.
function foreign(text) {
  return element("bdi", {}, visible(text));
}

function byId(id) {
  return document.getElementById(id);
}

// A method's colour as a small mark before its name.
function mark(label) {
  const made = element("span", { class: "mark", "aria-hidden": "true" });
  made.style.setProperty("--colour", label.colour);
  return made;
}

// An amount without trailing zeros.
function amount(value) {
  return value === null ? "not measured" : String(value).replace("-", "−");
}

// A measured value with four significant digits.
function measured(value, { sign = false } = {}) {
  if (value === null) return "not measured";
  const text = value.toPrecision(4).replace("-", "−");
  return sign && value > 0 ? `+${text}` : text;
}
