import { useEffect, useState } from "preact/hooks";
import { count, plural } from "./format/numbers";
import { useAnswer } from "./state/answers";
import { linkNow, onLink, type Link } from "./state/live";
import { turnTheme } from "./state/theme";
import { Icon } from "./ui/icons";
import { Ago } from "./ui/moments";
import { Dot, Go, Status, type Tone } from "./ui/parts";

const WORDS: Record<Link, [Tone, string]> = {
  live: ["good", "connected"],
  connecting: ["", "connecting"],
  away: ["bad", "the server is away"],
};

/** One line that says how it is: GET /health, GET /sources, and whether events arrive. */
export function Top() {
  const link = useLink();
  const [tone, word] = WORDS[link];
  const health = useAnswer("/health");
  const now = health.data;
  const lag = Object.values(now?.lag ?? {}).reduce((sum, each) => sum + each, 0);
  const sources = useAnswer("/sources");
  const failing = (sources.data ?? []).reduce((sum, each) => sum + each.failing_streams, 0);
  useEffect(() => {
    const timer = setInterval(health.again, 5_000);
    return () => clearInterval(timer);
  }, [health.address]);
  return (
    <div class="top" role="status">
      <span>
        <Dot tone={tone} />
        {word}
      </span>
      {now && link === "live" && (
        <>
          <Condition reasons={now.reasons} status={now.status} />
          <span>
            {lag
              ? `${count(lag)} ${lag === 1 ? "message" : "messages"} waiting`
              : "nothing waiting"}
          </span>
          {failing > 0 && (
            <Go to={{ room: "sources" }} class="care">
              {plural(failing, "stream")} failing
            </Go>
          )}
          {now.last_run && (
            <span>
              last run <Status of={now.last_run.status} />{" "}
              <Go to={{ room: "runs", run: now.last_run.run_id }}>
                <Ago time={now.last_run.requested_at} />
              </Go>
            </span>
          )}
        </>
      )}
      <span class="end">
        <button class="quiet" onClick={turnTheme} aria-label="Turn light and dark">
          <Icon name="theme" />
        </button>
      </span>
    </div>
  );
}

const SHORT: Record<string, string> = {
  kafka_away: "Kafka is away",
  database_away: "the database is away",
  disk_full: "the disk is full",
  disk_nearly_full: "the disk is nearly full",
  data_gap: "messages are missing",
  source_stale: "a source is stale",
  budget_exhausted: "the calls of the month are used up",
  stuck: "a service is stuck",
  restarts: "a service starts again and again",
};

/** In few words; the sentences stand in the inbox. What fails is told beside it. */
function Condition({ status, reasons }: { status: string; reasons: string[] }) {
  if (status === "ok") return <span>healthy</span>;
  const codes = new Set(reasons.map((reason) => reason.split(":")[0]!));
  codes.delete("stream_failing");
  if (!codes.size) return null;
  const words = [...codes].map((code) => SHORT[code] ?? code.replaceAll("_", " "));
  return (
    <Go to={{ room: "inbox" }} class="care">
      {words.join(", ")}
    </Go>
  );
}

function useLink(): Link {
  const [link, setLink] = useState(linkNow());
  useEffect(() => onLink(setLink), []);
  return link;
}
