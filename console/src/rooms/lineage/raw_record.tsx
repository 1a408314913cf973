import type { Schemas } from "../../api/client";
import { useAnswer } from "../../state/answers";

type Version = Schemas["Version"];
/** The numbers of a data point, in the order in which they are shown. */
export const NUMBERS = [
  "open",
  "high",
  "low",
  "close",
  "volume",
  "base_volume",
  "quote_volume",
  "market_cap",
  "price",
];
const VOLUMES = ["volume", "base_volume", "quote_volume"];

/** The record as it came, with the cells that the values were read from marked. */
export function RawRecord({ version }: { version: Version }) {
  const { raw } = version.record;
  if (raw == null) return <p class="soft">The page is kept no more.</p>;
  if (Array.isArray(raw)) return <Row cells={raw.map(String)} version={version} />;
  return <Tree of={raw as object} marked={numbersOf(version)} />;
}

/** Cells under the names that the file gives them. */
function Row({ cells, version }: { cells: string[]; version: Version }) {
  const page = useAnswer("/raw/{page_id}", {}, { page_id: version.page_id });
  const context = page.data?.context as { columns?: string[] } | undefined;
  const columns = context?.columns ?? [];
  const roles = rolesOf(page.data?.read_as as ReadAs | undefined, version);
  const marked = numbersOf(version);
  return (
    <table>
      <tbody>
        {cells.map((cell, n) => {
          const isRead = roles ? roles.has(n + 1) : isAmong(cell, marked);
          return (
            <tr key={n}>
              <td class="soft wrap">
                {columns[n] || `column ${n + 1}`}
                {isRead && named(roles?.get(n + 1), columns[n])}
              </td>
              <td class="mono wrap">{isRead ? <mark>{cell}</mark> : cell}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** What a column is read as, where its name does not say so. */
function named(role: string | undefined, column: string | undefined): string {
  return role && role !== column?.toLowerCase() ? `: ${role.replace("_", " ")}` : "";
}

interface ReadAs {
  series?: { symbol?: string; currency?: string | null; columns?: Record<string, number> }[];
}

/** The columns that its values were read from, by number; null where nobody can tell. */
export function rolesOf(readAs: ReadAs | undefined, version: Version): Map<number, string> | null {
  const series = readAs?.series ?? [];
  const { symbol, currency } = version.values as { symbol?: string; currency?: string };
  const fitting = series.filter(
    (each) =>
      series.length === 1 || (each.symbol === symbol && (each.currency ?? currency) === currency),
  );
  if (fitting.length !== 1) return null;
  const entries = Object.entries(fitting[0]!.columns ?? {});
  return new Map(
    entries
      .filter(([role]) => valuesOf(role).some((name) => version.values[name] != null))
      .map(([role, number]) => [number, role]),
  );
}

/** Where the values of a column stand: what a volume is counted in is found by its rows. */
function valuesOf(role: string): string[] {
  return role.endsWith("volume") ? VOLUMES : [role];
}

function Tree({ of: value, marked }: { of: object; marked: Set<number> }) {
  const lines = JSON.stringify(value, null, 2).split("\n");
  return (
    <pre>
      {lines.map((line, n) => {
        const cell = /: "?(-?[\d.eE+-]+)"?,?$/.exec(line)?.[1];
        const text = `${line}\n`;
        return cell && isAmong(cell, marked) ? <mark key={n}>{text}</mark> : text;
      })}
    </pre>
  );
}

function numbersOf(version: Version): Set<number> {
  const values = NUMBERS.map((name) => version.values[name]).filter((each) => each != null);
  return new Set(values.map(Number));
}

function isAmong(cell: string, marked: Set<number>): boolean {
  const number = Number(cell);
  return cell.trim() !== "" && marked.has(number);
}
