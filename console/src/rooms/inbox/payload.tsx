import { count } from "../../format/numbers";
import { useAnswer } from "../../state/answers";
import type { Schemas } from "../../api/client";
import { roleOf, type Profile } from "../add/profile";
import { indented } from "./indented";

type Letter = Schemas["DeadLetterDetail"];
const MOST_LINES = 500;

/** The payload as it came, with what the field names marked. */
export function Payload({ of: letter }: { of: Letter }) {
  const text = letter.payload ?? "";
  const cells = letter.source === "csv" ? cellsOf(text) : null;
  if (cells) return <Row cells={cells} of={letter} />;
  return <Lines text={text} field={letter.field} />;
}

/** The cells of a row, null for what is none. */
export function cellsOf(text: string): string[] | null {
  try {
    const found: unknown = JSON.parse(text);
    const isRow = Array.isArray(found) && found.every((each) => typeof each === "string");
    return isRow ? found : null;
  } catch {
    return null;
  }
}

/** Under the names that the file gives its columns; the run knows what each was taken for. */
function Row({ cells, of: letter }: { cells: string[]; of: Letter }) {
  const run = useAnswer("/runs/{run_id}", {}, letter.run_id ? { run_id: letter.run_id } : null);
  const page = useAnswer("/raw/{page_id}", {}, letter.page_id ? { page_id: letter.page_id } : null);
  const task = run.data?.tasks.find((each) => each.stream === letter.stream);
  const profile = (task?.profile ?? {}) as Profile;
  const context = page.data?.context as { columns?: string[] } | undefined;
  const names = profile.columns ?? context?.columns ?? [];
  return (
    <table>
      <tbody>
        {cells.map((cell, n) => {
          const name = names[n] ?? `column ${n + 1}`;
          const isIt =
            letter.field !== null && [name, roleOf(profile, name, n + 1)].includes(letter.field);
          return (
            <tr key={n}>
              <td class="soft">{name}</td>
              <td class="mono wrap">{isIt ? <mark>{cell || "(empty)"}</mark> : cell}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Lines({ text, field }: { text: string; field: string | null }) {
  const lines = indented(text).split("\n");
  const shown = lines.slice(0, MOST_LINES);
  const name = field?.split(".").pop()?.toLowerCase();
  return (
    <pre>
      {shown.map((line, n) =>
        name && line.toLowerCase().includes(`"${name}"`) ? (
          <mark key={n}>{`${line}\n`}</mark>
        ) : (
          `${line}\n`
        ),
      )}
      {lines.length > MOST_LINES && `… and ${count(lines.length - MOST_LINES)} more lines`}
    </pre>
  );
}
