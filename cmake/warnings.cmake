# Warnings and hardening for every target; each flag is accepted by gcc 12 and clang 14 or guarded.
add_compile_options(
  -Wall -Wextra -Wshadow -Wcast-qual -Wformat=2 -Wmissing-prototypes -Wstrict-prototypes
  -Wold-style-definition -Wundef -Wvla -Wwrite-strings -Wdouble-promotion -Wpointer-arith
  -fstack-protector-strong -fcf-protection=full -fno-math-errno)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wlogical-op -Wduplicated-cond -Wtrampolines
                      -fstack-clash-protection -ftrivial-auto-var-init=zero)
endif()
if(CLO_SANITIZE)
  add_compile_options(-fsanitize=${CLO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -U_FORTIFY_SOURCE)
  add_link_options(-fsanitize=${CLO_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-D_FORTIFY_SOURCE=2)
endif()
add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
add_compile_definitions(_GNU_SOURCE)
