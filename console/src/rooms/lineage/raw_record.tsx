import type { Schemas } from "../../api/client";
import { useAnswer } from "../../state/answers";

type Version = Schemas["Version"];
const NUMBERS = ["open", "high", "low", "close", "volume", "price"];

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
  const marked = numbersOf(version);
  return (
    <table>
      <tbody>
        {cells.map((cell, n) => (
          <tr key={n}>
            <td class="soft">{columns[n] ?? `column ${n + 1}`}</td>
            <td class="mono wrap">{isAmong(cell, marked) ? <mark>{cell}</mark> : cell}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
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
