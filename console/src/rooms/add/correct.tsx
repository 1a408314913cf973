import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { Act } from "../../ui/actions";
import { correction, FIELDS, readAs, ROLES, type Reading } from "./corrected";
import { Answer } from "./settle";
import { QUESTIONS } from "./settled";

/** A reading that is wrong, corrected column by column. POST /files/mapping. */
export function Correct(props: {
  of: Schemas["Inspection"];
  isOpen: boolean;
  onSettled: () => void;
}) {
  const before = readAs(props.of);
  const [fields, setFields] = useState<Record<string, string>>({});
  const [roles, setRoles] = useState<Record<number, string>>({});
  const [lines, setLines] = useState<string | null>(null);
  const entry = correction(props.of.path, before, fields, roles);
  return (
    <details open={props.isOpen}>
      <summary>Something is read wrongly? Say what it is</summary>
      <div class="row">
        {FIELDS.map((name) => (
          <label key={name} class="field">
            <span>{QUESTIONS[name] ?? name}</span>
            <Answer
              of={{ name, value: "", note: "" }}
              value={fields[name] ?? before.fields[name] ?? ""}
              onChange={(value) => setFields((old) => ({ ...old, [name]: value }))}
            />
          </label>
        ))}
      </div>
      <Roles
        of={before}
        given={roles}
        onChange={(number, role) => setRoles((old) => ({ ...old, [number]: role }))}
      />
      <div class="row">
        <Act
          label="Correct it"
          main
          disabled={!entry}
          address={addressOf("/files/mapping")}
          body={entry}
          onDone={(answer) => {
            setLines((answer as { lines: string }).lines);
            setFields({});
            setRoles({});
            props.onSettled();
          }}
        />
        <span class="soft">It is kept in mapping.yaml; what was read otherwise is read anew.</span>
      </div>
      {lines && <pre>{lines}</pre>}
    </details>
  );
}

function Roles(props: {
  of: Reading;
  given: Record<number, string>;
  onChange: (number: number, role: string) => void;
}) {
  return (
    <div class="row">
      {props.of.columns.map(({ name, role }, at) => (
        <label key={at} class="field">
          <span>{name || `column ${at + 1}`} is</span>
          <select
            value={props.given[at + 1] ?? role}
            onChange={(event) => props.onChange(at + 1, event.currentTarget.value)}
          >
            <option value="">not used</option>
            {(ROLES.includes(role) || !role ? ROLES : [role, ...ROLES]).map((each) => (
              <option key={each} value={each}>
                {each.replace("_", " ")}
              </option>
            ))}
          </select>
        </label>
      ))}
    </div>
  );
}
