import type { Schemas } from "../../api/client";
import { useAnswer } from "../../state/answers";
import { Change, Mood } from "../../ui/figures";
import { Ago } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Table, type Heading } from "../../ui/table";
import { addressOfPlace, change, here } from "../../state/place";

/** Headlines about a coin, and what the price did after they were published. */
export function News({ symbol }: { symbol: string }) {
  const news = useAnswer("/news", { symbol, limit: 20 });
  return (
    <>
      <Panel
        title="News and the move after"
        answer={news}
        flush
        empty="No news about this coin has come yet."
      >
        {(found) => (found.length ? <Headlines of={found} /> : null)}
      </Panel>
    </>
  );
}

function Headlines({ of: news }: { of: Schemas["News"][] }) {
  const delays = Object.keys(news[0]!.since_published.move_percent);
  return (
    <Table
      head={["Headline", "Mood", ...delays.map((delay): Heading => [`${delay} later`, "right"])]}
    >
      {news.map((each) => (
        <tr key={each.id}>
          <td class="wrap">
            <a
              class="clamped"
              href={addressOfPlace({ ...here(), point: each.id })}
              onClick={(event) => {
                event.preventDefault();
                change({ point: each.id }, true);
              }}
            >
              {each.title ?? each.url}
            </a>
            <div class="soft">
              {each.feed} · <Ago time={each.published_at} />
            </div>
          </td>
          <td>
            <Mood value={each.sentiment} />
          </td>
          {delays.map((delay) => (
            <td key={delay} class="right">
              <Change value={each.since_published.move_percent[delay]} />
            </td>
          ))}
        </tr>
      ))}
    </Table>
  );
}
