import { useEffect, useState } from "preact/hooks";
import { count, plural } from "./format/numbers";
import { useAnswer } from "./state/answers";
import { linkNow, onLink, type Link } from "./state/live";
import { turnTheme } from "./state/theme";
import { Icon } from "./ui/icons";
import { Ago } from "./ui/moments";
import { Dot, Go, Status, type Tone } from "./ui/parts";

const WORDS: Record<Link, [Tone, string]> = {
  live: ["good", "live"],
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
          <span class={now.status === "ok" ? "" : "care"}>
            {now.status === "ok" ? "healthy" : [now.status, ...now.reasons].join(": ")}
          </span>
          <span>{lag ? `${count(lag)} messages waiting` : "nothing waiting"}</span>
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

function useLink(): Link {
  const [link, setLink] = useState(linkNow());
  useEffect(() => onLink(setLink), []);
  return link;
}
