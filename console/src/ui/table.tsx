import type { ComponentChildren } from "preact";

/** A heading; numbers stand to the right. */
export type Heading = string | [string, "right"];

/** Rows below headings, which scroll sideways where they are too wide. */
export function Table({ head, children }: { head: Heading[]; children: ComponentChildren }) {
  return (
    <div class="scroll" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {head.map((each) => {
              const [text, side] = typeof each === "string" ? [each, ""] : each;
              return (
                <th key={text} scope="col" class={side}>
                  {text}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
