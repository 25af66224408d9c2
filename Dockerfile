# The image of all three services: `docker build -t innkeeper .`
#
# A vendor's own image is built on it, with the functions that its follow-ups call:
#
#   FROM innkeeper
#   COPY hooks/ /opt/hooks/
#   ENV PYTHONPATH=/opt/hooks
#
# What those functions need is installed into the same environment, before the COPY:
#
#   USER root
#   RUN pip install --no-cache-dir acme-billing==2.1
#   USER innkeeper

FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.txt requirements-dev.txt ./
RUN python -m venv /opt/innkeeper \
 && /opt/innkeeper/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
# The builder of the wheel comes from the lock as well; nothing of it reaches the second stage.
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.txt
COPY . .
RUN /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel \
 && /opt/innkeeper/bin/pip install --no-cache-dir --no-index --no-deps /tmp/wheel/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home innkeeper \
 && install -d -m 0700 -o innkeeper -g innkeeper /data
COPY --from=build /opt/innkeeper /opt/innkeeper
ENV PATH=/opt/innkeeper/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    INNKEEPER_DATA=/data
USER innkeeper
WORKDIR /home/innkeeper
VOLUME /data
EXPOSE 8000 8001
ENTRYPOINT ["innkeeper"]
CMD ["--help"]
