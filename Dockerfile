# An image with nothing in it but Aedile and the libraries that it loads.
#
#     docker build -t aedile .
#     docker run -p 6379:6379 -v aedile:/data aedile --requirepass a-long-password
#     docker run -v /etc/aedile:/etc/aedile:ro aedile /etc/aedile/aedile.conf
#
# What follows the image's name are aedile-server's arguments. Without a password, or a user that has one, clients from outside of
# the container are refused (protected-mode). The health check asks port 6379: for another one, or a Unix socket where there is only TLS, give
# --health-cmd '/usr/bin/aedile-server --ping PORT'. A Sentinel: --entrypoint /usr/bin/aedile-sentinel, with a configuration that is writable.

FROM rust:1-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin aedile-server
# The program, what its loader needs, and where names are looked up; the user has a number only, which every runtime knows.
RUN install -D -t /image/usr/bin target/release/aedile-server; \
    ldd target/release/aedile-server | awk '$2 == "=>" { print $3 } $1 ~ "^/" { print $1 }' | xargs -I '{}' cp -L --parents '{}' /image; \
    for name in aedile-sentinel redis-server redis-sentinel redis-check-rdb redis-check-aof; do \
        ln -s aedile-server "/image/usr/bin/$name"; \
    done; \
    install -d -o 65532 -g 65532 -m 750 /image/data; \
    install -d -m 1777 /image/tmp; \
    install -d /image/etc; \
    echo 'aedile:x:65532:65532::/data:/usr/sbin/nologin' > /image/etc/passwd; \
    echo 'aedile:x:65532:' > /image/etc/group; \
    echo 'hosts: files dns' > /image/etc/nsswitch.conf

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /data
VOLUME ["/data"]
EXPOSE 6379
HEALTHCHECK --interval=10s --timeout=12s --start-period=30s --retries=3 CMD ["/usr/bin/aedile-server", "--ping"]
ENTRYPOINT ["/usr/bin/aedile-server"]
