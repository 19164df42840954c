// The inner loops of the int8 engine, for x86 processors with AVX2, or better with AVX-512 VNNI. Built by kernels.py.
//
// Weights are signed bytes with one scale a row (an output channel). They lie in panels of 32 channels x 4 inputs,
// [N/32][K/4][32][4], each stored as value + 128, so that both instruction sets take them for unsigned. Activations are
// quantised here, row by row, to signed bytes with one scale a row and the row's sum, which takes the 128 out again:
//   y[m][n] = (sum_k (w[n][k] + 128) q[m][k] - 128 sum_k q[m][k]) * scale_w[n] * scale_x[m].
// Integer sums are exact, so both instruction sets give the same result.
//
// Shapes: T tokens (of B sequences), D hidden size, E experts, K experts a token, F expert width, A = T*K assignments.

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int PANEL = 32;  // channels of a panel

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
using Activation = int8_t;
constexpr int ROWS = 12;         // rows of a tile: 24 accumulators and the panel's two registers
constexpr int ROWS_CACHED = 192;  // rows that go through all panels together and stay in the second-level cache
#else
using Activation = int16_t;  // of every four, in the order 0 2 1 3, as `dots` reads them
constexpr int ROWS = 4;
constexpr int ROWS_CACHED = 96;
#endif

// e^x by range reduction and a polynomial (relative error below 2e-7); plain enough to be vectorised.
inline float exponential(float x) {
  x = std::min(std::max(x, -87.0f), 88.0f);
  const float n = __builtin_rintf(x * 1.44269504f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, 4);
  return p * power;
}

float dot(const float* a, const float* b, int64_t size) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; ++i) sum += a[i] * b[i];
  return sum;
}

// One row of activations, quantised: symmetric, the largest magnitude becomes 127.
struct Row {
  const Activation* values;
  float scale;
  int32_t sum;
};

Row quantised(const float* x, int64_t size, Activation* values) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < size; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float scale = largest / 127.0f, inverse = largest > 0 ? 127.0f / largest : 0.0f;
  int32_t sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; ++i) {
    const int32_t q = static_cast<int32_t>(__builtin_rintf(x[i] * inverse));
    sum += q;
    values[i] = static_cast<Activation>(q);
  }
  if (sizeof(Activation) == 2)
    for (int64_t i = 0; i < size; i += 4) std::swap(values[i + 1], values[i + 2]);
  return {values, scale, sum};
}

inline int32_t four_bytes(const Activation* at) {
  int32_t bytes;
  std::memcpy(&bytes, at, 4);
  return bytes;
}

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)

// sums[m][n] of `rows` rows (at most ROWS) with one panel.
template <int rows>
void dots_of(const uint8_t* panel, const Row* const* x, int64_t size, int32_t sums[][PANEL]) {
  __m512i low[rows], high[rows];
#pragma GCC unroll 16
  for (int m = 0; m < rows; ++m) low[m] = high[m] = _mm512_setzero_si512();
  for (int64_t k = 0; k < size; k += 4, panel += 4 * PANEL) {
    const __m512i first = _mm512_loadu_si512(panel), second = _mm512_loadu_si512(panel + 64);
#pragma GCC unroll 16
    for (int m = 0; m < rows; ++m) {
      const __m512i values = _mm512_set1_epi32(four_bytes(x[m]->values + k));
      low[m] = _mm512_dpbusd_epi32(low[m], first, values);
      high[m] = _mm512_dpbusd_epi32(high[m], second, values);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < rows; ++m) {
    _mm512_storeu_si512(sums[m], low[m]);
    _mm512_storeu_si512(sums[m] + 16, high[m]);
  }
}

#else

// sums[m][n] of `rows` rows with `vectors` times 8 channels of a panel, which begin at `at`.
template <int rows, int vectors>
void dots_of_part(const uint8_t* at, const Row* const* x, int64_t size, int32_t* sums) {
  const __m256i byte = _mm256_set1_epi16(255);
  __m256i sum[rows][vectors];
#pragma GCC unroll 16
  for (int m = 0; m < rows; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) sum[m][v] = _mm256_setzero_si256();
  for (int64_t k = 0; k < size; k += 4, at += 4 * PANEL) {
    __m256i even[vectors], odd[vectors];
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32 * v));
      even[v] = _mm256_and_si256(bytes, byte);
      odd[v] = _mm256_srli_epi16(bytes, 8);
    }
#pragma GCC unroll 16
    for (int m = 0; m < rows; ++m) {
      const __m256i first = _mm256_set1_epi32(four_bytes(x[m]->values + k));
      const __m256i second = _mm256_set1_epi32(four_bytes(x[m]->values + k + 2));
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v) {
        sum[m][v] = _mm256_add_epi32(sum[m][v], _mm256_madd_epi16(even[v], first));
        sum[m][v] = _mm256_add_epi32(sum[m][v], _mm256_madd_epi16(odd[v], second));
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < rows; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + m * PANEL + 8 * v), sum[m][v]);
}

// sums[m][n] of `rows` rows (at most ROWS) with one panel. A few rows take it in one stream, as memory likes it; more
// take it by halves, as the registers do.
template <int rows>
void dots_of(const uint8_t* panel, const Row* const* x, int64_t size, int32_t sums[][PANEL]) {
  if constexpr (rows <= 2) {
    dots_of_part<rows, 4>(panel, x, size, sums[0]);
  } else {
    dots_of_part<rows, 2>(panel, x, size, sums[0]);
    dots_of_part<rows, 2>(panel + 64, x, size, sums[0] + 16);
  }
}

#endif

template <int rows = ROWS>
void dots(int count, const uint8_t* panel, const Row* const* x, int64_t size, int32_t sums[][PANEL]) {
  if (count == rows) return dots_of<rows>(panel, x, size, sums);
  if constexpr (rows > 1) dots<rows - 1>(count, panel, x, size, sums);
}

// Products of `count` rows with one panel, as floats: `use(m, products)` for each row.
template <class Use>
void products(int64_t count, const Row* const* x, const uint8_t* panel, const float* scales, int64_t size, Use use) {
  alignas(64) int32_t sums[ROWS][PANEL];
  alignas(64) float values[PANEL];
  for (int64_t first = 0; first < count; first += ROWS) {
    const int rows = static_cast<int>(std::min<int64_t>(ROWS, count - first));
    dots(rows, panel, x + first, size, sums);
    for (int m = 0; m < rows; ++m) {
      const Row& row = *x[first + m];
#pragma omp simd
      for (int n = 0; n < PANEL; ++n) values[n] = static_cast<float>(sums[m][n] - 128 * row.sum) * row.scale * scales[n];
      use(first + m, values);
    }
  }
}

// y[m] = x[m] / root mean square * weight
void normalised(const float* x, const float* weight, float eps, int64_t size, float* y) {
  const float factor = 1.0f / std::sqrt(dot(x, x, size) / static_cast<float>(size) + eps);
#pragma omp simd
  for (int64_t i = 0; i < size; ++i) y[i] = weight[i] * (x[i] * factor);
}

// Turn the first half of each head against the second.
void rotated(float* heads, int64_t count, int64_t width, const float* cosines, const float* sines) {
  const int64_t half = width / 2;
  for (float* head = heads; head < heads + count * width; head += width)
#pragma omp simd
    for (int64_t i = 0; i < half; ++i) {
      const float first = head[i], second = head[i + half];
      head[i] = first * cosines[i] - second * sines[i];
      head[i + half] = second * cosines[i] + first * sines[i];
    }
}

void to_half(const float* x, int64_t size, uint16_t* y) {
  for (int64_t i = 0; i < size; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
}

__m256 from_half(const uint16_t* x) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))); }

float sum_of(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

// Attention of one query head to `count` keys and values of half precision; `scores` has room for `count`.
void attended(const float* query, const uint16_t* keys, const uint16_t* values, int64_t count, int64_t width,
              float* scores, float* out) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  float largest = -INFINITY;
  for (int64_t s = 0; s < count; ++s) {
    __m256 even = _mm256_setzero_ps(), odd = _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + 16 <= width; i += 16) {
      even = _mm256_fmadd_ps(_mm256_loadu_ps(query + i), from_half(keys + s * width + i), even);
      odd = _mm256_fmadd_ps(_mm256_loadu_ps(query + i + 8), from_half(keys + s * width + i + 8), odd);
    }
    for (; i < width; i += 8) even = _mm256_fmadd_ps(_mm256_loadu_ps(query + i), from_half(keys + s * width + i), even);
    scores[s] = scale * sum_of(_mm256_add_ps(even, odd));
    largest = std::max(largest, scores[s]);
  }
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t s = 0; s < count; ++s) total += scores[s] = exponential(scores[s] - largest);
  std::fill(out, out + width, 0.0f);
  for (int64_t s = 0; s < count; ++s) {
    const __m256 share = _mm256_set1_ps(scores[s] / total);
    for (int64_t i = 0; i < width; i += 8)
      _mm256_storeu_ps(out + i, _mm256_fmadd_ps(share, from_half(values + s * width + i), _mm256_loadu_ps(out + i)));
  }
}

#ifdef __AVX512F__
constexpr int WIDTH = 16;       // floats of a vector
constexpr int TILE_ROWS = 12;
#else
constexpr int WIDTH = 8;
constexpr int TILE_ROWS = 6;
#endif
typedef float Vector __attribute__((vector_size(WIDTH * sizeof(float)), aligned(sizeof(float)), may_alias));

constexpr int LANES = 2 * WIDTH;  // queries of a block; each has a lane of its own, so that nothing is added across
constexpr int KEYS = 96;          // keys of a block

// out[r][lane] += sum_i scalars[r * row_stride + i * step] * vectors[i][lane], for `rows` rows.
template <int rows>
void accumulate_rows(const float* scalars, int64_t row_stride, int64_t step, const float* vectors, int64_t count,
                     float* out) {
  Vector low[rows], high[rows];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    low[r] = *reinterpret_cast<const Vector*>(out + r * LANES);
    high[r] = *reinterpret_cast<const Vector*>(out + r * LANES + WIDTH);
  }
  for (int64_t i = 0; i < count; ++i) {
    const Vector first = *reinterpret_cast<const Vector*>(vectors + i * LANES);
    const Vector second = *reinterpret_cast<const Vector*>(vectors + i * LANES + WIDTH);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const float scalar = scalars[r * row_stride + i * step];
      low[r] += first * scalar;
      high[r] += second * scalar;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    *reinterpret_cast<Vector*>(out + r * LANES) = low[r];
    *reinterpret_cast<Vector*>(out + r * LANES + WIDTH) = high[r];
  }
}

void accumulate(int64_t rows, const float* scalars, int64_t row_stride, int64_t step, const float* vectors,
                int64_t count, float* out) {
  int64_t r = 0;
  for (; r + TILE_ROWS <= rows; r += TILE_ROWS)
    accumulate_rows<TILE_ROWS>(scalars + r * row_stride, row_stride, step, vectors, count, out + r * LANES);
  for (; r < rows; ++r)
    accumulate_rows<1>(scalars + r * row_stride, row_stride, step, vectors, count, out + r * LANES);
}

// Softmax attention of up to LANES queries, one after another from place `at` on, block by block of keys with a
// running maximum (FlashAttention, arXiv 2205.14135). `keys` and `values` are [place][width] in float32; places before
// `first` hold no token, and a query there sees itself alone.
void attended_block(const float* queries, int64_t stride, int64_t lanes, int64_t at, int64_t first, const float* keys,
                    const float* values, int64_t width, float* scratch, float* y, int64_t y_stride) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  float *turned = scratch, *sums = turned + width * LANES, *shares = sums + width * LANES;
  alignas(64) float largest[LANES], total[LANES] = {}, factor[LANES];
  std::fill(largest, largest + LANES, -1e30f);
  std::fill(sums, sums + width * LANES, 0.0f);
  for (int64_t c = 0; c < width; ++c)
    for (int64_t l = 0; l < LANES; ++l) turned[c * LANES + l] = l < lanes ? queries[l * stride + c] * scale : 0.0f;
  for (int64_t from = at < first ? 0 : first; from < at + lanes; from += KEYS) {
    const int64_t count = std::min<int64_t>(KEYS, at + lanes - from);
    std::fill(shares, shares + count * LANES, 0.0f);
    accumulate(count, keys + from * width, width, 1, turned, width, shares);
    std::copy(largest, largest + LANES, factor);
    for (int64_t s = 0; s < count; ++s) {
      float* share = shares + s * LANES;
      if (from + s > at || from + s < first)
        for (int64_t l = 0; l < LANES; ++l)
          if (from + s > at + l || (from + s < first && from + s != at + l)) share[l] = -INFINITY;
#pragma omp simd
      for (int l = 0; l < LANES; ++l) largest[l] = std::max(largest[l], share[l]);
    }
#pragma omp simd
    for (int l = 0; l < LANES; ++l) total[l] *= factor[l] = exponential(factor[l] - largest[l]);
    for (int64_t s = 0; s < count; ++s)
#pragma omp simd
      for (int l = 0; l < LANES; ++l) total[l] += shares[s * LANES + l] = exponential(shares[s * LANES + l] - largest[l]);
    for (int64_t c = 0; c < width; ++c)
#pragma omp simd
      for (int l = 0; l < LANES; ++l) sums[c * LANES + l] *= factor[l];
    accumulate(width, values + from * width, 1, width, shares, count, sums);
  }
  for (int64_t l = 0; l < lanes; ++l)
    for (int64_t c = 0; c < width; ++c) y[l * y_stride + c] = sums[c * LANES + l] / total[l];
}

// Room that lasts from call to call, so that no step allocates.
template <class T>
T* room(std::vector<T>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(size);
  return buffer.data();
}

struct Quantised {
  std::vector<Activation> values;
  std::vector<Row> rows;
  std::vector<const Row*> order;
};

}  // namespace

extern "C" {

void norm(const float* x, const float* weight, float eps, int64_t tokens, int64_t size, float* y) {
#pragma omp parallel for if (tokens > 8)
  for (int64_t t = 0; t < tokens; ++t) normalised(x + t * size, weight, eps, size, y + t * size);
}

// y[T][N] = x[T][K] W^T, or y += where `add`. N is a multiple of 32, K of 8.
void linear(const float* x, int64_t tokens, int64_t size, const uint8_t* weight, const float* scales, int64_t channels,
            int add, float* y) {
  static thread_local Quantised q;
  Activation* values = room(q.values, tokens * size);
  Row* rows = room(q.rows, tokens);
  const Row** order = room(q.order, tokens);
#pragma omp parallel
  {
#pragma omp for
    for (int64_t t = 0; t < tokens; ++t) {
      rows[t] = quantised(x + t * size, size, values + t * size);
      order[t] = rows + t;
    }
#pragma omp for collapse(2) schedule(static)
    for (int64_t first = 0; first < tokens; first += ROWS_CACHED)
      for (int64_t n = 0; n < channels; n += PANEL) {
        const int64_t count = std::min<int64_t>(ROWS_CACHED, tokens - first);
        products(count, order + first, weight + n * size, scales + n, size, [&](int64_t m, const float* row) {
          float* to = y + (first + m) * channels + n;
          if (add)
#pragma omp simd
            for (int i = 0; i < PANEL; ++i) to[i] += row[i];
          else
            std::memcpy(to, row, sizeof(float) * PANEL);
        });
      }
  }
}

// From qkv[T][D + 2W]: norm over the whole of q and of k, clamp all to +-clip, rotate q and k in place; k and v go to
// the cache [B][G][capacity][C] in half precision, behind the `length` tokens that it holds. `padding` [B] may be null.
void rotate_and_store(float* qkv, int64_t sequences, int64_t tokens, int64_t size, int64_t width, int64_t head,
                      const float* q_weight, const float* k_weight, float eps, float clip, const float* cosines,
                      const float* sines, const int64_t* padding, int64_t length, int64_t capacity, uint16_t* keys,
                      uint16_t* values) {
#pragma omp parallel for collapse(2) if (sequences * tokens > 4)
  for (int64_t b = 0; b < sequences; ++b)
    for (int64_t t = 0; t < tokens; ++t) {
      float* q = qkv + (b * tokens + t) * (size + 2 * width);
      float *k = q + size, *v = k + width;
      normalised(q, q_weight, eps, size, q);
      normalised(k, k_weight, eps, width, k);
      if (clip > 0)
        for (float* each = q; each < v + width; ++each) *each = std::min(std::max(*each, -clip), clip);
      const int64_t position = std::max<int64_t>(0, length + t - (padding ? padding[b] : 0));
      const float *cosine = cosines + position * head / 2, *sine = sines + position * head / 2;
      rotated(q, size / head, head, cosine, sine);
      rotated(k, width / head, head, cosine, sine);
      for (int64_t g = 0; g < width / head; ++g) {
        const int64_t at = ((b * (width / head) + g) * capacity + length + t) * head;
        to_half(k + g * head, head, keys + at);
        to_half(v + g * head, head, values + at);
      }
    }
}

// Attention of T new tokens to all before them and to themselves, y[T][D].
void attend(const float* qkv, int64_t sequences, int64_t tokens, int64_t size, int64_t width, int64_t head,
            const int64_t* padding, int64_t length, int64_t capacity, const uint16_t* keys, const uint16_t* values,
            float* y) {
  const int64_t heads = size / head, group = size / width, total = length + tokens, stride = size + 2 * width;
  const bool few = tokens < LANES / 2;
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t b = 0; b < sequences; ++b)
    for (int64_t h = 0; h < heads; ++h) {
      static thread_local std::vector<float> scratch;
      const int64_t first = padding ? padding[b] : 0, at = (b * (width / head) + h / group) * capacity * head;
      const float* query = qkv + b * tokens * stride + h * head;
      float* to = y + b * tokens * size + h * head;
      if (few) {
        for (int64_t t = 0; t < tokens; ++t) {
          const int64_t from = std::min(first, length + t), count = length + t + 1 - from;
          attended(query + t * stride, keys + at + from * head, values + at + from * head, count, head,
                   room(scratch, count), to + t * size);
        }
        continue;
      }
      float *key = room(scratch, 2 * total * head + (2 * head + KEYS) * LANES), *value = key + total * head;
      for (int64_t i = 0; i < total * head; i += 8) {
        _mm256_storeu_ps(key + i, from_half(keys + at + i));
        _mm256_storeu_ps(value + i, from_half(values + at + i));
      }
      for (int64_t t = 0; t < tokens; t += LANES)
        attended_block(query + t * stride, stride, std::min<int64_t>(LANES, tokens - t), length + t, first, key, value,
                       head, value + total * head, to + t * size, size);
    }
}

// The best K experts of each token and their weights, of softmax(logits) [T][E], which is overwritten; the weights are
// made to sum to 1 if `normalise`.
void choose(float* logits, int64_t tokens, int64_t experts, int64_t chosen, int normalise, int64_t* indices,
            float* weights) {
#pragma omp parallel for if (tokens > 16)
  for (int64_t t = 0; t < tokens; ++t) {
    float* p = logits + t * experts;
    const float largest = *std::max_element(p, p + experts);
    float total = 0, kept = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t e = 0; e < experts; ++e) total += p[e] = exponential(p[e] - largest);
    for (int64_t k = 0; k < chosen; ++k) {
      const int64_t best = std::max_element(p, p + experts) - p;
      indices[t * chosen + k] = best;
      kept += weights[t * chosen + k] = p[best] / total;
      p[best] = -1;
    }
    if (normalise)
      for (int64_t k = 0; k < chosen; ++k) weights[t * chosen + k] /= kept;
  }
}

// y[T][D] += the weighted sum of each token's experts. Panels of `gate_up` [E][2F/32] hold 16 gate and 16 up channels;
// F and D are multiples of 32.
void experts(const float* x, int64_t tokens, int64_t size, const int64_t* indices, const float* weights,
             int64_t chosen, int64_t count, int64_t width, const uint8_t* gate_up, const float* gate_up_scales,
             const uint8_t* down, const float* down_scales, float* y) {
  static thread_local Quantised in, between;
  static thread_local std::vector<float> hidden_room, out_room;
  static thread_local std::vector<int64_t> starts_room, next_room, hit_room, place_room;
  const int64_t assignments = tokens * chosen;
  Activation *in_values = room(in.values, tokens * size), *mid_values = room(between.values, assignments * width);
  Row *in_rows = room(in.rows, tokens), *mid_rows = room(between.rows, assignments);
  const Row **in_order = room(in.order, assignments), **mid_order = room(between.order, assignments);
  float *hidden = room(hidden_room, assignments * width), *out = room(out_room, assignments * size);
  int64_t *starts = room(starts_room, count + 1), *next = room(next_room, count), *hit = room(hit_room, count);
  int64_t* place = room(place_room, assignments);

  // Assignments sorted by expert: expert e has starts[e] .. starts[e + 1].
  std::fill(starts, starts + count + 1, 0);
  for (int64_t a = 0; a < assignments; ++a) ++starts[indices[a] + 1];
  int64_t hits = 0;
  for (int64_t e = 0; e < count; ++e) {
    if (starts[e + 1]) hit[hits++] = e;
    starts[e + 1] += starts[e];
  }
  std::copy(starts, starts + count, next);
  for (int64_t a = 0; a < assignments; ++a) {
    place[a] = next[indices[a]]++;
    in_order[place[a]] = in_rows + a / chosen;
    mid_order[place[a]] = mid_rows + place[a];
  }

#pragma omp parallel
  {
#pragma omp for
    for (int64_t t = 0; t < tokens; ++t) in_rows[t] = quantised(x + t * size, size, in_values + t * size);
#pragma omp for collapse(2) schedule(dynamic, 8)
    for (int64_t i = 0; i < hits; ++i)
      for (int64_t f = 0; f < width; f += PANEL / 2) {
        const int64_t e = hit[i], panel = e * 2 * width + 2 * f;
        products(starts[e + 1] - starts[e], in_order + starts[e], gate_up + panel * size, gate_up_scales + panel, size,
                 [&](int64_t m, const float* row) {
                   float* to = hidden + (starts[e] + m) * width + f;
#pragma omp simd
                   for (int i = 0; i < PANEL / 2; ++i)
                     to[i] = row[i] / (1.0f + exponential(-row[i])) * row[i + PANEL / 2];
                 });
      }
#pragma omp for
    for (int64_t a = 0; a < assignments; ++a)
      mid_rows[a] = quantised(hidden + a * width, width, mid_values + a * width);
#pragma omp for collapse(2) schedule(dynamic, 8)
    for (int64_t i = 0; i < hits; ++i)
      for (int64_t n = 0; n < size; n += PANEL) {
        const int64_t e = hit[i], panel = e * size + n;
        products(starts[e + 1] - starts[e], mid_order + starts[e], down + panel * width, down_scales + panel, width,
                 [&](int64_t m, const float* row) {
                   std::memcpy(out + (starts[e] + m) * size + n, row, sizeof(float) * PANEL);
                 });
      }
#pragma omp for
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t k = 0; k < chosen; ++k) {
        const float weight = weights[t * chosen + k], *from = out + place[t * chosen + k] * size;
        float* to = y + t * size;
#pragma omp simd
        for (int64_t i = 0; i < size; ++i) to[i] += weight * from[i];
      }
  }
}

}  // extern "C"
