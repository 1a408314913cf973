"""What was configured at run time, followed, and handed to the sources."""

from __future__ import annotations

import asyncio
import os

from services.extractor.settings import ExtractorSettings
from services.extractor.sources.base import SourceConnector
from shared.configuration.effective import Effective
from shared.configuration.setting_log import SettingLog
from shared.configuration.settings import FirstValues
from shared.kafka.topic_follower import TopicFollower
from shared.messages.base import Source
from shared.messages.topics import CONFIGURATION
from shared.runtime import logs

log = logs.get(__name__)


def first_values(settings: ExtractorSettings) -> FirstValues:
    """What `.env` says."""
    return FirstValues(
        feeds={feed.name: feed.url for feed in settings.rss_feeds},
        coins={
            Source.COINPAPRIKA: settings.coin_ids,
            Source.COINGECKO: settings.coingecko_ids,
        },
        every_s=settings.ingest_every_s or None,
    )


class Configuration:
    """`changed` is set after every change. `is_known`: the topic was read to its end once."""

    def __init__(
        self,
        settings: ExtractorSettings,
        sources: dict[str, SourceConnector],
    ) -> None:
        self._sources = sources
        self.changed = asyncio.Event()
        self.is_known = False
        first = first_values(settings)
        known = SettingLog(
            settings.signing_secret(), on_change=self.changed.set
        )
        self.effective = Effective(lambda: first, known)
        self.follower = TopicFollower(
            settings.kafka_bootstrap_servers,
            CONFIGURATION,
            f"extractor-configuration-{os.getpid()}",
            known.saw,
        )

    async def catch_up(self) -> None:
        """Until what is configured now counts here. Raises TransientError."""
        await self.follower.catch_up()
        self.apply()

    def apply(self) -> None:
        for source in self._sources.values():
            source.configure(self.effective)

    async def begin(self) -> None:
        """Apply what there is, once. Raises TransientError.

        Says which lines of `.env` do not count.
        """
        if self.is_known:
            return
        await self.catch_up()
        if not self.is_known:
            self.is_known = True
            for sentence in self.effective.overridden():
                log.warning("overridden_at_run_time", what=sentence)
