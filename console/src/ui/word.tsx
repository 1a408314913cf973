import type { ComponentChildren } from "preact";

/** The words of the product that are not everybody's, each with what it means. */
export const MEANINGS = {
  page: "Records that were fetched together. They are kept as they came, for audit and replay.",
  stream: "What is read one after the other: a file, a coin's prices, a feed.",
  balanced:
    "Every record that was fetched is accounted for: inserted, updated, unchanged, skipped or rejected.",
  rejected: "It could not be understood without guessing. It waits in the inbox, with the reason.",
  skipped: "It carries no value, such as an empty line.",
} as const;

/** A word that says what it means when it is pointed at. */
export function Word(props: { of: keyof typeof MEANINGS; children?: ComponentChildren }) {
  return <abbr title={MEANINGS[props.of]}>{props.children ?? props.of}</abbr>;
}
