# The operator's image: a locked environment on Python slim, no shell of ours, nothing to write to, not root.
#
#   docker build --build-arg PYTHON_DIGEST=sha256:... --build-arg REVISION="$(git rev-parse HEAD)" --tag keyturn .
#
# The digest has no default on purpose: a base image is chosen by whoever builds. `docker buildx imagetools inspect python:3.13-slim` shows it.
ARG PYTHON_TAG=3.13-slim
ARG PYTHON_DIGEST

FROM python:${PYTHON_TAG}@${PYTHON_DIGEST} AS builder
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_PYTHON_PREFERENCE=only-system
WORKDIR /app
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
# Dependencies first: they change less often than the code, and make a layer of their own.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project
COPY . .
RUN uv sync --locked --no-dev --no-editable

FROM python:${PYTHON_TAG}@${PYTHON_DIGEST} AS runtime
ARG PYTHON_TAG
ARG PYTHON_DIGEST
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="keyturn" \
      org.opencontainers.image.description="Owns the whole life of a rotated AWS secret in Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:${PYTHON_TAG}" \
      org.opencontainers.image.base.digest="${PYTHON_DIGEST}"
# PYTHONSAFEPATH: the working directory is never searched for modules. PYTHONDONTWRITEBYTECODE: the root is read-only, and all is compiled already.
ENV PATH=/app/.venv/bin:${PATH} \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=builder /app/.venv /app/.venv
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["python", "-m", "keyturn"]
CMD ["run"]
