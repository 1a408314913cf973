import type { Schemas } from "../../api/client";
import { roleOf, type Profile } from "./profile";

/** Column by column what it was taken for, over the first rows, and why. */
export function Columns({ of: found }: { of: Schemas["Inspection"] }) {
  const profile = (found.profile ?? {}) as Profile;
  const names = profile.columns ?? [];
  const reasons = profile.reasons ?? [];
  if (!names.length) return null;
  const roles = names.map((name, n) => roleOf(profile, name, n + 1));
  return (
    <>
      <div class="scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              {names.map((name, n) => (
                <th key={n} scope="col">
                  {name || `column ${n + 1}`}
                  <div class={roles[n] ? "gain" : "soft"}>
                    {roles[n] ?? (found.refused ? "not known yet" : "not used")}
                  </div>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {found.sample.map((row, at) => (
              <tr key={at}>
                {row.map((cell, n) => (
                  <td key={n} class="mono">
                    {cell}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {reasons.length > 0 && (
        <ul class="soft">
          {reasons.map((each, n) => (
            <li key={n}>
              {each.what}:{" "}
              {each.is ? (
                <>
                  <strong>{each.is}</strong> – {each.because}
                </>
              ) : (
                `not taken, since ${each.because}`
              )}
              {each.columns && ` (${each.columns.join(", ")})`}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
