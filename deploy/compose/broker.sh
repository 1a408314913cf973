#!/bin/bash
# Starts one of three brokers, as `make up` does natively: each a controller too, in a quorum whose
# members can change. The image's own start knows fixed quorums only, in which a broker that lost
# its disk would vote as if it had seen nothing.
# $BROKER: its number from 1. /mnt/shared/config, which all three share, says what they agreed on.
set -euo pipefail
agreed=/mnt/shared/config
data=/var/lib/kafka/data
hosts=(kafka kafka-2 kafka-3)
host=${hosts[$((BROKER - 1))]}
properties=/opt/kafka/config/own.properties
kafka=/opt/kafka/bin

# As Kafka writes UUIDs; its tools take none that begins with a hyphen.
kafka_id() { echo "C$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' | cut -c 2-)"; }

# Whoever links first decides; the others read.
agree() {
  local made
  made=$(mktemp "$agreed/.cluster.XXXXXX")
  echo "$1 $(kafka_id) $(kafka_id) $(kafka_id)" > "$made"
  sync
  ln "$made" "$agreed/cluster" 2> /dev/null || true
  rm -f "$made"
}

if [ -e "$agreed/cluster" ] && [ ! -s "$agreed/cluster" ]; then
  rm -f "$agreed/cluster" # a power cut came before its content
fi
if [ ! -e "$agreed/cluster" ] && [ -e "$data/meta.properties" ] \
  && grep -q '^directory.id=' "$data/meta.properties" && [ "$BROKER" != 1 ]; then
  # What was agreed is lost, this disk is not: the others had one too.
  agree "$(sed -n 's/^cluster.id=//p' "$data/meta.properties")"
  touch "$agreed/had-disk-1" "$agreed/had-disk-2" "$agreed/had-disk-3"
fi
if [ ! -e "$agreed/cluster" ]; then
  sleep 5 # for another one that knows
  [ -e "$agreed/cluster" ] || agree "$(kafka_id)"
fi
read -r cluster disks[0] disks[1] disks[2] < "$agreed/cluster"

cat > "$properties" << END
process.roles=broker,controller
node.id=$BROKER
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
advertised.listeners=PLAINTEXT://$host:9092,CONTROLLER://$host:9093
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
controller.quorum.bootstrap.servers=kafka:9093,kafka-2:9093,kafka-3:9093
controller.quorum.auto.join.enable=true
log.dirs=$data
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=8
offsets.retention.minutes=43200
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
log.segment.bytes=134217728
group.initial.rebalance.delay.ms=500
END

if [ -e "$data/meta.properties" ]; then
  if ! grep -q "^cluster.id=$cluster\$" "$data/meta.properties"; then
    echo "the disk of $host is of another cluster, such as of one broker alone: make backup with" \
      "KAFKA_BROKERS as it was, make clean, and make restore with KAFKA_BROKERS=3" >&2
    exit 1
  fi
elif [ -e "$agreed/had-disk-$BROKER" ]; then
  echo "$host had a disk before: it joins with a new one"
  "$kafka/kafka-storage.sh" format -t "$cluster" -c "$properties" --no-initial-controllers
else
  members=$(for n in 0 1 2; do echo -n "$((n + 1))@${hosts[n]}:9093:${disks[n]},"; done)
  "$kafka/kafka-storage.sh" format -t "$cluster" -c "$properties" \
    --initial-controllers "${members%,}"
fi
touch "$agreed/had-disk-$BROKER"
exec "$kafka/kafka-server-start.sh" "$properties"
