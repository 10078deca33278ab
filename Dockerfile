# docker build -t sop-server . && docker run --init -v sop:/var/lib/sop --network host sop-server
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY . .
RUN deploy/install && deploy/build release sopd sop && mkdir /out \
  && cp build/release/server/sopd build/release/clients/cli/sop /out/

FROM debian:bookworm-slim
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
  libabsl20220623 libedit2 libfmt9 libgrpc++1.51 libjemalloc2 libprometheus-cpp-core1.0 libprotobuf32 \
  librocksdb7.8 libsimdjson14 libsodium23 libspdlog1.10 libssl3 libtomlplusplus3 libcpp-httplib0.11 libxxhash0 \
  && rm -rf /var/lib/apt/lists/* && useradd --system --home /var/lib/sop --create-home sop
COPY --from=build /out/ /usr/local/bin/
USER sop
VOLUME /var/lib/sop
# Loopback only until there is authentication: run it with --network host, or in the pod of its client.
ENTRYPOINT ["sopd", "--data", "/var/lib/sop"]
