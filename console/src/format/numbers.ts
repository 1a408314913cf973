// Numbers for people. What is exact stands in a tooltip and in what is copied.

const SIGNIFICANT = 6;
const UNITS: [number, string][] = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "k"],
];
const BYTES: [number, string][] = [
  [1e9, "GB"],
  [1e6, "MB"],
  [1e3, "kB"],
];

/** A price by its size: 73,917.29, 1.5, 0.00002154. Never in exponents. */
export function price(value: number | null | undefined): string {
  if (value == null) return "–";
  const size = Math.abs(value);
  if (size >= 1_000) return grouped(value, 2);
  return unfolded(String(Number(value.toPrecision(SIGNIFICANT)))).replace("-", "−");
}

/** At most so many digits behind the point, without zeros at the end. */
function grouped(value: number, behind: number): string {
  const text = value.toLocaleString("en-US", { maximumFractionDigits: behind });
  return text.replace("-", "−");
}

/** What a number is exactly, without exponents. */
export function exact(value: number | null | undefined): string {
  if (value == null) return "";
  return unfolded(String(value));
}

/** A number as JavaScript writes it, without its exponent. */
function unfolded(text: string): string {
  const [mantissa, exponent] = text.split("e");
  if (exponent === undefined) return text;
  const [, sign, whole, behind = ""] = /^(-?)(\d+)\.?(\d*)$/.exec(mantissa!)!;
  const digits = whole! + behind;
  const point = whole!.length + Number(exponent);
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return sign + digits.padEnd(point, "0");
}

/** 1,234,567 as 1.23 M. */
export function short(value: number | null | undefined): string {
  if (value == null) return "–";
  const size = Math.abs(value) * 1.000005; // what is rounded up has the next unit
  const [unit, name] = UNITS.find(([least]) => size >= least) ?? [1, ""];
  return `${grouped(value / unit, 2)}${name && ` ${name}`}`;
}

export function count(value: number | null | undefined): string {
  return value == null ? "–" : value.toLocaleString("en-US");
}

export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** With its sign: +1.97 %. */
export function percent(value: number | null | undefined): string {
  if (value == null) return "–";
  const size = Math.abs(value);
  const text = size.toLocaleString("en-US", {
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
  });
  const sign = size < 0.005 ? "" : value > 0 ? "+" : "−";
  return `${sign}${text} %`;
}

/** A share from 0 to 1; what is not whole is never shown as 100 %. */
export function share(value: number | null | undefined): string {
  if (value == null) return "–";
  const text = Math.floor(value * 1_000) / 10;
  return `${text} %`;
}

/** Bytes as people say them: 184 MB. */
export function bytes(value: number | null | undefined): string {
  if (value == null) return "–";
  const [unit, name] = BYTES.find(([least]) => value >= least) ?? [1, "B"];
  return `${grouped(value / unit, value < 10 * unit ? 1 : 0)} ${name}`;
}
