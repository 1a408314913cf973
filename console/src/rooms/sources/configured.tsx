import { Moment } from "../../ui/moments";

/** Where something is configured, and who changed it last. */
export function Configured(props: {
  of: { origin: string; changed_at: string | null; changed_by: string | null };
}) {
  const { origin, changed_at, changed_by } = props.of;
  if (origin === "env") return <span class="soft">by .env</span>;
  return (
    <span class="soft">
      <Moment time={changed_at} /> by {changed_by?.slice(0, 8) ?? "API_KEY"}
    </span>
  );
}
