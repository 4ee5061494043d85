# Runs azr on any machine with Docker; the jail inside is the same. For example:
#   docker build -t azr . && docker run --rm -it -v azr-runs:/home/azr/runs azr run --plugin python
FROM python:3.11-slim

# pip's usual torch brings CUDA; for the CPU build pass the option that pytorch.org > Get started names, as --build-arg PIP_ARGS="...".
ARG PIP_ARGS=""

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY azr_core azr_core
COPY azr_plugins_math azr_plugins_math
COPY azr_plugins_python azr_plugins_python
COPY configs configs
COPY plugins plugins
RUN pip install --no-cache-dir $PIP_ARGS . && useradd --create-home --uid 1000 azr && install -d -o azr -g azr /home/azr/runs

USER 1000
WORKDIR /home/azr
ENTRYPOINT ["azr"]
CMD ["--help"]
