FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

# The packages come before the sources, so that a change of the sources does not install them anew.
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt \
    && useradd --system --no-create-home parley \
    && install --directory --mode=700 --owner=parley var

COPY . .
RUN python -m compileall -q apps config

USER parley
EXPOSE 8080
# JSON form: the server is process 1 and gets the signal of `docker stop` itself.
CMD ["python", "manage.py", "serve"]
