# docker build -t seriatim .
# docker run --stop-timeout 60 -p 127.0.0.1:8765:8765 -e SERIATIM_TOKEN -v seriatim:/data seriatim
FROM python:3.12-slim
# llama.cpp needs OpenMP, which the slim image lacks.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 seriatim && install -d -o seriatim /data
COPY pyproject.toml README.md LICENSE constraints.txt /source/
COPY src /source/src
COPY examples /source/examples
RUN pip install --no-cache-dir '/source[serve]' -c /source/constraints.txt && rm -r /source
USER seriatim
ENV SERIATIM_HOME=/data
VOLUME /data
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import os; from urllib.request import Request, urlopen; urlopen(Request('http://127.0.0.1:8765/api/health', headers={'Authorization': 'Bearer ' + os.environ['SERIATIM_TOKEN']}))"]
# In a container 127.0.0.1 is the container alone; 0.0.0.0 needs SERIATIM_TOKEN, without which nothing starts.
CMD ["seriatim", "serve", "--host", "0.0.0.0", "--no-browser"]
