# syntax=docker/dockerfile:1
# The lean binary in a distroless image: no shell, no package manager, not root.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ENV CGO_ENABLED=0
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -ldflags="-s -w -buildid=" -o /out/assetflow ./cmd/assetflow

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/assetflow /usr/local/bin/assetflow
USER nonroot:nonroot
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/assetflow"]
CMD ["api"]
