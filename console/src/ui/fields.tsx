import type { ComponentChildren } from "preact";

/** A field with its name above it. */
export function Field(props: { label: string; children: ComponentChildren }) {
  return (
    <label class="field">
      <span>{props.label}</span>
      {props.children}
    </label>
  );
}

/** A line of text. */
export function Text(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: string;
  size?: number;
}) {
  return (
    <Field label={props.label}>
      <input
        value={props.value}
        size={props.size ?? 20}
        placeholder={props.hint ?? ""}
        onInput={(event) => props.onChange(event.currentTarget.value)}
      />
    </Field>
  );
}

/** One of a few. `values`: what is sent and what is read. */
export function Select(props: {
  label: string;
  value: string;
  values: Record<string, string>;
  onChange: (value: string) => void;
}) {
  return (
    <Field label={props.label}>
      <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {Object.entries(props.values).map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </Field>
  );
}
