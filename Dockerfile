# The base by tag; the release workflow pins it by digest (--build-arg BASE=python:3.13-slim@sha256:…).
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ONLY_BINARY=:all:
WORKDIR /src

# The dependencies change less often than the program: their layer comes first. Every file is checked against its hash.
RUN python -m venv --without-pip /opt/pipesegment
COPY requirements/operator.txt requirements/build.txt requirements/
RUN pip --python /opt/pipesegment/bin/python install --require-hashes -r requirements/operator.txt
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/pipesegment/bin/python install --no-index --no-deps /wheels/*.whl \
    && /opt/pipesegment/bin/python -m compileall -q /opt/pipesegment/lib

FROM ${BASE}
LABEL org.opencontainers.image.title="pipesegment" \
      org.opencontainers.image.description="A pipeline stage reaches only what it declares." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/pipesegment /opt/pipesegment
ENV PATH=/opt/pipesegment/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number: the kubelet can prove that it is not root. Nothing below / is ever written.
USER 65532:65532
WORKDIR /
ENTRYPOINT ["pipesegment"]
CMD ["run"]
