# The locked versions; torch's wheel runs on the CPU and, with the host's driver, on CUDA. The clone is mounted at
# /project, and the package is installed from there: what is edited on the host is what runs.
FROM python:3.12-slim

# The user whose files the clone's are: docker build --build-arg UID="$(id -u)"
ARG UID=1000

# Versions of Debian's packages are not pinned: the image's release decides, and old ones leave its mirrors.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git make \
 && rm -rf /var/lib/apt/lists/*
# A mounted clone may seem another user's to git, and the copies that DVC's queue works in are committed by somebody.
RUN useradd --create-home --uid "$UID" --shell /bin/bash orbweaver \
 && install --directory --owner orbweaver /project /opt/venv /cache \
 && git config --system safe.directory /project \
 && git config --system user.name orbweaver \
 && git config --system user.email orbweaver@localhost

USER $UID
WORKDIR /project
# Downloads, which a volume at /cache keeps.
ENV ORBWEAVER_CACHE=/cache/data \
    TORCH_HOME=/cache/torch \
    ORBWEAVER_VENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1

# One file of the package is enough to install it in place, so an edit of the others leaves this layer as it is.
COPY --chown=orbweaver Makefile pyproject.toml requirements.lock README.md LICENSE NOTICE ./
COPY --chown=orbweaver pipeline/__init__.py pipeline/
RUN UV_NO_CACHE=1 make setup

CMD ["dvc", "repro"]
