// One path an icon, 16 by 16.
const PATHS = {
  markets: "M2 12l4-5 3 3 5-7M2 14h12",
  add: "M8 3v10M3 8h10",
  sources: "M8 2v5M8 7l-4 3M8 7l4 3M4 12a1 1 0 100 2 1 1 0 000-2zM12 12a1 1 0 100 2 1 1 0 000-2z",
  schedules: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 5v3l2 2",
  keys: "M5 8a2.5 2.5 0 105 0 2.5 2.5 0 10-5 0M10 8h5M13 8v2.5",
  runs: "M2 4h7M2 8h11M2 12h5",
  replay: "M3 8a5 5 0 105-5H4M6 1L4 3l2 2",
  inbox: "M2 9l2-6h8l2 6v4H2zM2 9h4l1 2h2l1-2h4",
  pipeline: "M2 8h3M11 8h3M5 5h6v6H5z",
  webhooks: "M3 6v4h2l5 3V3L5 6zM12.5 6a3 3 0 010 4",
  theme: "M8 2a6 6 0 100 12z M8 2a6 6 0 010 12",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.5"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
