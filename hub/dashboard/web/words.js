// Numbers and moments as people say them. Moments are seconds since 1970.

const STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [48 * 3600, 3600, "h"],
  [Infinity, 86400, "days"],
];

export function age(seconds) {
  if (seconds < 1) return "now";
  const [, unit, word] = STEPS.find(([limit]) => seconds < limit);
  return `${Math.floor(seconds / unit)} ${word} ago`;
}

const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function moment(seconds) {
  return whole.format(new Date(seconds * 1000));
}

export function number(value) {
  return value === null || value === undefined ? "–" : Number(value.toPrecision(5)).toString();
}

// "PT1H5M" as "1h 5m", and back: what people write, as XML Schema has it. null: it is no duration.
const XSD = /^(-)?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;
const PLAIN = /^\s*(-)?\s*(?:(\d+)\s*d)?\s*(?:(\d+)\s*h)?\s*(?:(\d+)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)\s*s)?\s*$/i;

export function duration(text) {
  const match = XSD.exec(text);
  if (!match) return text;
  const parts = ["d", "h", "m", "s"].map((unit, i) => (match[i + 2] ? match[i + 2] + unit : ""));
  return (match[1] ? "-" : "") + (parts.filter(Boolean).join(" ") || "0s");
}

export function xsdDuration(text) {
  if (XSD.test(text) && /\d/.test(text)) return text;
  const match = PLAIN.exec(text);
  if (!match || !match.slice(2).some(Boolean)) return null;
  const [, sign, d, h, m, s] = match;
  const clock = (h ? h + "H" : "") + (m ? m + "M" : "") + (s ? s + "S" : "");
  return `${sign || ""}P${d ? d + "D" : ""}${clock ? "T" + clock : ""}`;
}

// What <input type="datetime-local"> takes (the visitor's own zone), and what a hub does.
export function localMoment(text) {
  const time = new Date(text);
  if (!text || isNaN(time)) return "";
  const shifted = new Date(time.getTime() - time.getTimezoneOffset() * 60000);
  return shifted.toISOString().slice(0, 19);
}

export function zonedMoment(text) {
  return new Date(text).toISOString().replace(/\.\d+/, "");
}
