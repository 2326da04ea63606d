# The controller's image: one static binary and a small one for what only waits, the stock plugins compiled ahead of time, certificates, nothing else.
# `make image` stages the context in target/image and builds it: no base image, so no registry is asked.
FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
ARG BUILD_ARCH=unknown
ARG BUILD_TIMESTAMP=unknown
# As podlike's image has them; `outrigger version` shows them.
ENV VERSION="$VERSION" BUILD_ARCH="$BUILD_ARCH" GIT_COMMIT="$REVISION" BUILD_TIMESTAMP="$BUILD_TIMESTAMP"
# The first label is how `outrigger status` finds controllers.
LABEL outrigger.controller="true" \
      org.opencontainers.image.title="Outrigger" \
      org.opencontainers.image.description="A pod controller for plain Docker, Compose and Swarm, with WebAssembly plugins" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/outrigger/outrigger" \
      org.opencontainers.image.documentation="https://github.com/outrigger/outrigger/blob/main/README.md" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# /run, /tmp, /var/lib/outrigger (state), /var/cache/outrigger (compiled plugins), and the certificates that plugins' HTTPS is checked against.
COPY root /
COPY plugins /plugins
# An archive, because COPY would drop the group: both programs are setgid to `nogroup`. So the kernel makes every process of them undumpable at its very start, also the
# `healthcheck` that the engine runs: a component that shares the PID namespace can't look through /proc/<pid>/root at the engine's socket.
ADD outrigger.tar /
ENTRYPOINT ["/outrigger"]
# Each check costs the engine more than a tenth of a second of CPU. So a check waits: the controller answers it as soon as the pod's verdict changes, else one second before
# `timeout`. A pod that is unhealthy is answered at once: five failures take ten seconds. Failures until the pod has been healthy once do
# not count: the controller ends a start that takes too long by itself.
HEALTHCHECK --interval=2s --timeout=60s --start-period=24h --retries=5 CMD ["/outrigger", "healthcheck", "--wait"]
