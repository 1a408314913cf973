import { useState } from "preact/hooks";
import { addressOf } from "../../api/client";
import { Act } from "../../ui/actions";
import { askedBy, CHOICES, entryOf, QUESTIONS, TEXTS, type Asked } from "./settled";

/** What the file does not say itself, asked of a person, and kept in mapping.yaml. */
export function Settle(props: { path: string; message: string; onSettled: () => void }) {
  const asked = askedBy(props.message);
  const [given, setGiven] = useState<Record<string, string>>({});
  const [lines, setLines] = useState<string | null>(null);
  if (!asked.length) return null;
  const valueOf = (each: Asked) => given[each.name] ?? each.value;
  const whole = Object.fromEntries(asked.map((each) => [each.name, valueOf(each)]));
  const set = (name: string, value: string) => setGiven((before) => ({ ...before, [name]: value }));
  return (
    <div class="row">
      {asked.map((each) => (
        <label key={each.name} class="field">
          <span>
            {QUESTIONS[each.name] ?? each.name.replace("columns.", "column of ")}
            {each.note && !QUESTIONS[each.name] && ` (${each.note})`}
          </span>
          <Answer of={each} value={valueOf(each)} onChange={(value) => set(each.name, value)} />
        </label>
      ))}
      <Act
        label="Settle it"
        main
        disabled={!Object.values(whole).some((value) => value.trim())}
        address={addressOf("/files/mapping")}
        body={entryOf(props.path, whole)}
        onDone={(answer) => {
          setLines((answer as { lines: string }).lines);
          props.onSettled();
        }}
      />
      {lines && <pre>{lines}</pre>}
    </div>
  );
}

const EXAMPLES: Record<string, string> = {
  symbol: "btc",
  currency: "usd",
  interval: "1h",
  timezone: "Europe/Berlin",
};

/** A choice where there are few, else a field. */
export function Answer(props: { of: Asked; value: string; onChange: (value: string) => void }) {
  const choices = CHOICES[props.of.name];
  if (!choices) {
    return (
      <input
        value={props.value}
        onInput={(event) => props.onChange(event.currentTarget.value)}
        placeholder={EXAMPLES[props.of.name] ?? ""}
      />
    );
  }
  return (
    <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
      <option value="">…</option>
      {choices.map((each) => (
        <option key={each} value={each}>
          {TEXTS[each] ?? each}
        </option>
      ))}
    </select>
  );
}
