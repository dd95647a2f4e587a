# Two stages: the first builds; the second has no compiler and no installer, does not run as root, and can write only to
# /data. docs/deploying.md says how to run it, and which parts of it were tested.

ARG PYTHON=3.13-slim-trixie

FROM docker.io/library/python:${PYTHON} AS build
# With the system's certificates, a base image that trusts a company's proxy is enough to build behind that proxy.
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=true
RUN python -m pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
WORKDIR /src
# The dependencies come first, so that a change of the bot's code does not install them again.
COPY pyproject.toml uv.lock ./
# `--build-arg EXTRA=otel` adds tracing.
ARG EXTRA
# Only wheels from the lock file, each checked against its hash; nothing is compiled.
RUN UV_PROJECT_ENVIRONMENT=/opt/turso-rotate uv sync --locked --no-default-groups ${EXTRA:+--extra "$EXTRA"} \
    --no-install-project --no-build \
  && UV_PROJECT_ENVIRONMENT=/opt/build uv sync --locked --only-group build --no-build
COPY LICENSE README.md ./
COPY bot bot
COPY migrations migrations
# The same bytes as from `make wheel`, because hatchling comes from the lock file too.
RUN uv build --wheel --no-build-isolation --python /opt/build/bin/python --out-dir /dist \
  && uv pip install --no-deps --python /opt/turso-rotate/bin/python /dist/*.whl \
  && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/turso-rotate/lib

FROM docker.io/library/python:${PYTHON}
# The base image has no compiled modules, and on a read-only root filesystem every start would compile the standard
# library again. The account has a name because the audit trail records who runs a command.
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip \
  && rm -r /usr/local/lib/python3.*/ensurepip \
  && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /usr/local/lib/python3.* \
  && groupadd --gid 10001 turso-rotate \
  && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin turso-rotate \
  && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=build /opt/turso-rotate /opt/turso-rotate
# A container's loopback interface cannot be reached from outside. Publish the port only to the proxy.
ENV PATH=/opt/turso-rotate/bin:$PATH HOST=0.0.0.0
LABEL org.opencontainers.image.title="turso-rotate" org.opencontainers.image.licenses="MIT"
WORKDIR /data
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-I", "-c", "import http.client, os; bot = http.client.HTTPConnection(os.environ['HOST'], int(os.environ.get('PORT') or 3000), timeout=4); bot.request('GET', '/healthz'); raise SystemExit(bot.getresponse().status != 200)"]
ENTRYPOINT ["turso-rotate"]
CMD ["serve"]
