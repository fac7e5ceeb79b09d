export type Unit = "km" | "mi" | "m" | "ft" | "kg" | "lb" | "c" | "f";

/** Each unit: what it measures, and how to come to metres, kilograms, degrees Celsius and back. */
const UNITS: Record<Unit, [string, (v: number) => number, (v: number) => number]> = {
  km: ["length", (v) => v * 1000, (v) => v / 1000],
  mi: ["length", (v) => v * 1609.344, (v) => v / 1609.344],
  m: ["length", (v) => v, (v) => v],
  ft: ["length", (v) => v * 0.3048, (v) => v / 0.3048],
  kg: ["weight", (v) => v, (v) => v],
  lb: ["weight", (v) => v * 0.45359237, (v) => v / 0.45359237],
  c: ["heat", (v) => v, (v) => v],
  f: ["heat", (v) => ((v - 32) * 5) / 9, (v) => (v * 9) / 5 + 32],
};

export function convert(value: number, from: Unit, to: Unit): number | undefined {
  const [a, b] = [UNITS[from], UNITS[to]];
  return a && b && a[0] === b[0] && Number.isFinite(value) ? b[2](a[1](value)) : undefined;
}
