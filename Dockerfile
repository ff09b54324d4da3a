# Builds latchkey from source: `docker build -t latchkey .` This takes many minutes, because the
# whole program is optimised at once.
FROM docker.io/library/rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
# The program is linked statically, because the image has no C library. With an explicit target the
# flag does not apply to build scripts.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" && \
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile dist --target "$target" --bin latchkey && \
    cp "target/$target/dist/latchkey" /latchkey

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="latchkey" \
      org.opencontainers.image.description="A self-hosted, multi-tenant auth daemon: JWTs, sessions, teams and projects over HTTP" \
      org.opencontainers.image.source="https://github.com/latchkey/latchkey" \
      org.opencontainers.image.documentation="https://github.com/latchkey/latchkey/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
COPY deploy/image/root/etc/ /etc/
# data_dir (./data), for a container without a volume. With PostgreSQL and a master key from a file
# nothing is written there.
COPY --chown=65532:65532 deploy/image/root/var/lib/latchkey/ /var/lib/latchkey/
COPY --from=build /latchkey /latchkey
USER 65532:65532
WORKDIR /var/lib/latchkey
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/latchkey", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/latchkey"]
