# kerasdl with one backend, on a CPU.
#   docker build -t kerasdl .                            # BACKEND=tensorflow, jax or torch
#   docker run --rm -v "$PWD:/runs" kerasdl train segmentation --data photos/
FROM python:3.11-slim
ARG BACKEND=tensorflow
COPY . /source
RUN pip install --no-cache-dir -c /source/constraints.txt "/source[$BACKEND]" && rm -rf /source
# Settings and caches go beside the runs, so that any user of the host can run the image.
ENV KERAS_BACKEND=$BACKEND KERASDL_SETTINGS=/runs/.kerasdl HOME=/runs/.home MPLBACKEND=Agg
WORKDIR /runs
ENTRYPOINT ["kerasdl"]
CMD ["--help"]
